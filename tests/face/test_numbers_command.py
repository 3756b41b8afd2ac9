from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import conceptscope as cs
from conceptscope._numbers_command import TINYWORLD

Run = Callable[..., str]


def test_the_files_and_the_verdict_are_those_of_the_library(succeeded: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = succeeded(
        *("numbers", "--model", "tinyworld", "--out", str(out), "--sites", "embed,resid_post.2"),
        *("--sums", "{a} plus {b} is"),
    )
    model = cs.load_model("tinyworld")
    examples = cs.number_examples(TINYWORLD, range(100))
    acts = cs.capture(model, examples, ["embed", "resid_post.2"], position="span")
    found = {site: cs.fit_number_helix(acts, site=site) for site in ("embed", "resid_post.2")}
    scores = pd.read_csv(out / "numbers.csv").set_index(["site", "name"])
    sums = pd.read_csv(out / "sums.csv").set_index(["site", "name"])
    for site, one in found.items():
        assert scores.loc[site].cv_r2.to_dict() == pytest.approx(one.to_frame().cv_r2.to_dict())
        assert f"{one['polynomial'].cv_r2:.2f}" in said
        check = cs.check_helix_shift(model, one)
        assert sums.loc[site].moved.to_dict() == pytest.approx(check.to_frame().moved.to_dict())
    sentence = f"resid_post.2: {found['resid_post.2'].verdict}"
    assert sentence in " ".join(said.split())
    assert sentence.startswith("resid_post.2: A curve and no clock of period 2, 5 or 10")
    assert "several tokens" not in said
    assert len(pd.read_csv(out / "periods.csv")) == 8
    for name in ("numbers.png", "plane.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 600


def test_numbers_of_several_tokens_are_owned(succeeded: Run, tiny_folder: str, tmp_path: Path) -> None:
    said = succeeded(
        *("numbers", "--model", tiny_folder, "--out", str(tmp_path / "out"), "--low", "0", "--high", "39"),
        *("--text", "There were {}", "--text", "Page {}", "--periods", "5,10", "--sites", "resid_post.0"),
    )
    assert "40 numbers in 2 texts" in said
    assert "30 numbers are of several tokens" in " ".join(said.split())
    assert not (tmp_path / "out" / "sums.csv").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--periods": "2,x"}, "--periods are numbers with commas between"),
        ({"--periods": "2,50", "--high": "30"}, "period 50 cannot be told in the numbers 0 to 30"),
        ({"--low": "9", "--high": "3"}, "--low 9 is above --high 3"),
        ({"--high": "2"}, "4 numbers or more"),
        ({"--text": "plus"}, "each text needs {} once"),
        ({"--sites": "resid_post.9"}, "resid_post.9"),
        ({"--sums": "{a} plus 5 is"}, "the prompt needs {a} and {b}"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    refused: Run, tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    options = {"--model": "tinyworld", "--out": str(tmp_path / "out"), "--sites": "embed"} | changed
    message = refused("numbers", *(part for option in options.items() for part in option))
    assert said in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []
