from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import conceptscope as cs

Run = Callable[..., str]
TEXT = "the dog was not happy. it"
MODEL = ("--model", "tinyworld")


def test_the_table_and_the_files_are_those_of_the_library(succeeded: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = succeeded("interact", TEXT, *MODEL, "--target", "cried", "--out", str(out))
    found = cs.interactions(cs.load_model("tinyworld"), TEXT, cs.LogOdds("cried"))
    first = found.strongest(1)[0]
    assert f"{first.value:+.3f}" in said
    assert first.name in said
    assert "Always present: <s> the was . it" in " ".join(said.split())
    frame = pd.read_csv(out / "interactions.csv")
    assert frame.effect.tolist() == pytest.approx(found.to_frame().effect.tolist(), abs=1e-4)
    assert (out / "interactions.png").read_bytes().startswith(b"\x89PNG")
    assert "<mark" not in (page := (out / "interactions.html").read_text())
    assert page.startswith("<!doctype html>")
    assert ">not</b>" in page.replace(" </b>", "</b>").replace("> not", ">not")


def test_players_methods_and_differences(succeeded: Run) -> None:
    options = ("--target", "cried", "--versus", "smiled", "--players", "not|happy|dog", "--method", "and-or")
    said = succeeded("interact", TEXT, *MODEL, *options)
    assert "logit of 'cried' less that of 'smiled'" in said
    assert "all 3 players" in said
    assert "AND-OR interactions are salient" in " ".join(said.split())


def test_a_concept_is_explained(succeeded: Run, tmp_path: Path) -> None:
    model = cs.load_model("tinyworld")
    acts = cs.capture(model, cs.load_examples("tinyworld/sentiment"), "resid_post.2")
    cs.MeanDifference().fit(acts).save(tmp_path / "good.safetensors")
    said = succeeded("interact", TEXT, *MODEL, "--concept", str(tmp_path / "good.safetensors"))
    assert "reading of positive at resid_post.2" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give one of --target"),
        (("--target", "cried", "--concept", "x.safetensors"), "give one of --target"),
        (("--target", "qqq"), "not in the vocabulary"),
        (("--target", "cried", "--players", "dog|cat"), "does not occur"),
        (("--target", "cried", "--method", "xor"), "method must be one of"),
        (("--target", "cried", "--baseline", "qqq"), "not in the vocabulary"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(refused: Run, options: tuple[str, ...], message: str) -> None:
    said = refused("interact", TEXT, *MODEL, *options)
    assert message in " ".join(said.split())
    assert said.count("\n") == 1
