import html
from collections.abc import Callable
from pathlib import Path

import pytest

import conceptscope as cs

Run = Callable[..., str]
Options = dict[str, object]
FAST: Options = {"strengths": "0,2", "tokens": 2, "directions": 19, "sentences": 1}


def arguments(**options: object) -> tuple[str, ...]:
    return "report", *(str(part) for name, value in options.items() for part in (f"--{name}", value))


def test_it_writes_what_the_library_writes(
    succeeded: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    out, same = tmp_path / "out.html", tmp_path / "same" / "out.html"
    said = succeeded(*arguments(model=tiny_folder, data=csv_file, out=out, **FAST))
    same.parent.mkdir()
    model, data = cs.load_model(tiny_folder), cs.Examples.from_csv(csv_file)
    made = cs.report(model, data, same, strengths=[0, 2], max_new_tokens=2, directions=19, sentences=1)
    assert out.read_text() == same.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-concepts", "out.html", "same"]
    names = sorted(path.name for path in (tmp_path / "out-concepts").iterdir())
    assert names == [f"resid_post.{layer}.safetensors" for layer in range(3)]
    told = " ".join(said.split())
    assert made.verdict in told
    assert "needs nothing beside it" in told


def test_a_second_call_takes_the_place_of_the_first(
    succeeded: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    out, prompts = tmp_path / "out.html", tmp_path / "prompts.txt"
    prompts.write_text("The dog was\nShe walked <b>\n")
    for towards in ("good", "bad"):
        options = FAST | {"at": "resid_post.1", "towards": towards, "prompts": prompts}
        succeeded(*arguments(model=tiny_folder, data=csv_file, out=out, **options))
        page = out.read_text()
        assert f"towards {towards}" in page
        assert html.escape("She walked <b>") in page
        assert f"[{towards!r}]" in html.unescape(page) or towards == "good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-concepts", "out.html", "prompts.txt"]


def test_numbers_and_what_is_left_out(succeeded: Run, tiny_folder: str, tmp_path: Path) -> None:
    rows = [f"The {noun} was {n},{n * 1.5}" for n in range(10) for noun in ("dog", "film")]
    (tmp_path / "numbers.csv").write_text("\n".join(["text,label", *rows]))
    options = FAST | {"extractor": "ridge", "sites": "resid_post.0,resid_post.2", "position": "mean"}
    said = succeeded(
        *arguments(model=tiny_folder, data=tmp_path / "numbers.csv", out=tmp_path / "n.html", **options)
    )
    assert "R squared" in said
    assert "Left out, card: there are no classes" in " ".join(said.split())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ({"out": "nowhere/at/all.html"}, "there is no folder"),
        ({"out": "page.pdf"}, "ends in .html, got 'page.pdf'"),
        ({"model": "nowhere/model"}, "nowhere/model"),
        ({"label": "mood"}, "there is no column 'mood'"),
        ({"prompts": "nowhere.txt"}, "there is no file 'nowhere.txt'"),
        ({"strengths": "1;2"}, "such as 0,1,2; got '1;2'"),
        ({"strengths": "2,2"}, "each once"),
        ({"sites": "resid_pst"}, "resid_pst"),
        ({"at": "resid_post.9"}, "resid_post.9"),
        ({"towards": "best"}, "no 'best' in this concept"),
        ({"position": "all"}, "such as 'last' or 'mean'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    refused: Run, tiny_folder: str, csv_file: str, tmp_path: Path, changed: Options, said: str
) -> None:
    options = FAST | {"model": tiny_folder, "data": csv_file, "out": tmp_path / "out.html"} | changed
    message = refused(*arguments(**options))
    assert said in message
    assert "Traceback" not in message
    assert list(tmp_path.iterdir()) == []


def test_numbers_without_ridge_are_refused(refused: Run, tiny_folder: str, tmp_path: Path) -> None:
    data = tmp_path / "numbers.csv"
    data.write_text("text,label\n" + "\n".join(f"The dog was {n},{n}" for n in range(12)))
    message = refused(*arguments(model=tiny_folder, data=data, out=tmp_path / "out.html", **FAST))
    assert "--extractor ridge" in message
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]


def test_ctrl_c_leaves_nothing(interrupted: Run, tiny_folder: str, csv_file: str, tmp_path: Path) -> None:
    def begun() -> bool:
        return any(path.name.startswith(".out-concepts-") for path in tmp_path.iterdir())

    options = FAST | {"strengths": ",".join(map(str, range(40))), "directions": 200}
    err = interrupted(
        begun, *arguments(model=tiny_folder, data=csv_file, out=tmp_path / "out.html", **options)
    )
    assert err == "Interrupted: nothing was written.\n"
    assert list(tmp_path.iterdir()) == []
