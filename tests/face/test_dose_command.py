from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import conceptscope as cs

Run = Callable[..., str]
Dose = Callable[..., tuple[str, ...]]
PROMPTS = ["The dog was", "She walked", "", "The car was", "My sister plays"]


@pytest.fixture(scope="module")
def folder(tiny_folder: str, csv_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A concept and prompts in files."""
    made = tmp_path_factory.mktemp("dose")
    acts = cs.capture(
        cs.load_model(tiny_folder), cs.Examples.from_csv(csv_file), ["resid_post.1", "resid_post.2"]
    )
    for layer in (1, 2):
        cs.MeanDifference().fit(acts, f"resid_post.{layer}").save(made / f"{layer}.safetensors")
    (made / "prompts.txt").write_text("\n".join(PROMPTS))
    return made


@pytest.fixture
def dose(folder: Path, tiny_folder: str, tmp_path: Path) -> Dose:
    """``dose(name=value, ...)``: the arguments of a short command."""

    def arguments(**options: object) -> tuple[str, ...]:
        given = {"model": tiny_folder, "concept": folder / "1.safetensors", "prompts": folder / "prompts.txt"}
        given |= {"out": tmp_path / "out", "strengths": "-4,0,4", "tokens": 3, "directions": 3}
        return "dose", *(
            str(part) for name, value in (given | options).items() for part in (f"--{name}", value)
        )

    return arguments


def test_it_does_what_the_library_does(
    succeeded: Run, dose: Dose, tiny_folder: str, folder: Path, tmp_path: Path
) -> None:
    said = succeeded(*dose(measure=folder / "2.safetensors", kl=1000))
    model, concept = cs.load_model(tiny_folder), cs.Concept.load(folder / "1.safetensors")
    prompts = [line for line in PROMPTS if line]
    found = cs.dose_response(
        model,
        prompts,
        concept.add,
        [-4, 0, 4],
        measure=cs.Concept.load(folder / "2.safetensors"),
        max_new_tokens=3,
        directions=3,
    )
    frame = pd.read_csv(tmp_path / "out" / "dose.csv")
    pd.testing.assert_frame_equal(frame, found.to_frame(), check_dtype=False, rtol=1e-6)
    texts = pd.read_csv(tmp_path / "out" / "texts.csv", keep_default_na=False)
    assert texts.columns.tolist() == ["prompt", "untouched", "-4", "+0", "+4"]
    assert texts.prompt.tolist() == prompts
    assert texts["+4"].tolist() == list(found.doses[-1].texts)
    assert (tmp_path / "out" / "dose.png").stat().st_size > 5000
    assert f"Effect: {found.measure}" in said.replace("\n", " ")
    effect = found.doses[-1].effect
    assert f"[{effect.low:.2g}, {effect.high:.2g}]" in said
    assert f"[{effect.random_low:.2g}, {effect.random_high:.2g}]" in said
    assert "The strongest dose within a KL of 1000: +4 sd" in said.replace("\n", " ")


def test_measures(succeeded: Run, refused: Run, dose: Dose, csv_file: str) -> None:
    assert "Effect: log-odds of" in succeeded(*dose())
    assert "Effect: log-odds of 'a', 'b'" in succeeded(*dose(measure="a,b"))
    assert "goes on alike after texts labelled 'good' and after others" in refused(*dose(measure=csv_file))


def test_towards_the_other_class(succeeded: Run, dose: Dose, tmp_path: Path) -> None:
    found = []
    for number, options in enumerate(({"strengths": "-4"}, {"strengths": "4", "towards": "bad"})):
        succeeded(*dose(out=tmp_path / str(number), measure="a", **options))
        found.append(pd.read_csv(tmp_path / str(number) / "dose.csv").effect[0])
    assert found[0] == pytest.approx(found[1])


def test_a_budget_that_no_dose_keeps(succeeded: Run, dose: Dose) -> None:
    said = succeeded(*dose(strengths="8,16", kl=1e-9)).replace("\n", " ")
    assert "There is no dose within a KL of 1e-09" in said


def test_what_was_finished_before_ctrl_c_is_gone_on_with(
    interrupted: Run, succeeded: Run, refused: Run, dose: Dose, tmp_path: Path
) -> None:
    settings = {"measure": "a", "directions": 12, "strengths": "1,2,3,4"}
    out, kept = tmp_path / "out", tmp_path / "out" / ".doses"
    err = interrupted((kept / "002.json").exists, *dose(**settings))
    assert err == f"Interrupted: what was finished is kept in {kept}; the same command goes on from there.\n"
    assert [path.name for path in out.iterdir()] == [".doses"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert "directions 12, now 11" in refused(*dose(**settings | {"directions": 11}))
    for where in (out, tmp_path / "in one go"):
        succeeded(*dose(**settings, out=where))
    assert sorted(path.name for path in out.iterdir()) == ["dose.csv", "dose.png", "texts.csv"]
    for name in ("dose.csv", "texts.csv"):
        assert (out / name).read_text() == (tmp_path / "in one go" / name).read_text()


def test_what_is_refused(
    refused: Run, dose: Dose, folder: Path, tmp_path: Path, save: Callable[..., Path]
) -> None:
    assert "such as 0,1,2; got '1;2'" in refused(*dose(strengths="1;2"))
    assert "there is no file 'nowhere.txt'" in refused(*dose(prompts="nowhere.txt"))
    assert "is no text in UTF-8" in refused(*dose(prompts=folder / "1.safetensors"))
    (tmp_path / "empty.txt").write_text("\n \n")
    assert "has no prompts" in refused(*dose(prompts=tmp_path / "empty.txt"))
    assert "nowhere.safetensors" in refused(*dose(concept="nowhere.safetensors"))
    assert "--force" in refused(*dose(model=save("llama")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.txt"]
