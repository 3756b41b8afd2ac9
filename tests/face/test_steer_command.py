from collections.abc import Callable
from pathlib import Path

import pytest

import conceptscope as cs
from conceptscope._console import printable

Run = Callable[..., str]


@pytest.fixture(scope="module")
def concept_file(tiny_folder: str, csv_file: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    acts = cs.capture(cs.load_model(tiny_folder), cs.Examples.from_csv(csv_file), "resid_post.1")
    path = tmp_path_factory.mktemp("concept") / "good.safetensors"
    cs.MeanDifference().fit(acts).save(path)
    return str(path)


PROMPT = "The dog was"


def steer(model: str, concept: str, strength: str = "8") -> tuple[str, ...]:
    options = {"--model": model, "--concept": concept, "--strength": strength, "--tokens": "6"}
    return "steer", *(part for option in options.items() for part in option), PROMPT


def words(said: str) -> str:
    return "".join(said.split())


def test_both_continuations_are_those_of_the_library(
    succeeded: Run, tiny_folder: str, concept_file: str
) -> None:
    said = succeeded(*steer(tiny_folder, concept_file))
    model, concept = cs.load_model(tiny_folder), cs.Concept.load(concept_file)
    [plain] = cs.generate(model, [PROMPT], max_new_tokens=6)
    with cs.intervene(model, concept.add(8.0)):
        [steered] = cs.generate(model, [PROMPT], max_new_tokens=6)
    assert plain != steered
    assert "resid_post.1" in said
    left, right = ("".join(row) for row in zip(*_cells(said), strict=True))
    assert words(printable(plain)) in words(left)
    assert words(printable(steered)) in words(right)


def _cells(said: str) -> list[list[str]]:
    rows = (line.split("│")[1:3] for line in said.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in row] for row in rows]


def test_negative_strength(succeeded: Run, tiny_folder: str, concept_file: str) -> None:
    assert "-8 sd" in succeeded(*steer(tiny_folder, concept_file, "-8"))


def test_a_concept_file_that_is_not_there(refused: Run, tiny_folder: str) -> None:
    assert "nowhere.safetensors" in refused(*steer(tiny_folder, "nowhere.safetensors"))


def test_a_file_that_is_no_concept(refused: Run, tiny_folder: str, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_text("not a concept")
    assert "bad.safetensors" in refused(*steer(tiny_folder, str(tmp_path / "bad.safetensors")))


def test_another_model_is_refused_but_by_force(
    refused: Run, succeeded: Run, save: Callable[..., Path], concept_file: str
) -> None:
    command = steer(str(save("llama")), concept_file)
    assert "--force" in refused(*command)
    assert "resid_post.1" in succeeded(*command, "--force")


def test_another_width_is_refused(refused: Run, save: Callable[..., Path], concept_file: str) -> None:
    said = refused(*steer(str(save("llama", hidden_size=48)), concept_file), "--force")
    assert "32" in said
    assert "48" in said


def test_an_encoder_writes_nothing(refused: Run, save: Callable[..., Path], concept_file: str) -> None:
    assert "encoder" in refused(*steer(str(save("bert")), concept_file), "--force")


def test_towards_the_other_class(succeeded: Run, tiny_folder: str, concept_file: str) -> None:
    away = succeeded(*steer(tiny_folder, concept_file, "-8"))
    towards = succeeded(*steer(tiny_folder, concept_file), "--towards", "bad")
    assert "+8 sd of 'bad'" in towards
    assert _cells(towards) == _cells(away)


def test_many_classes_need_one_to_move_towards(
    refused: Run, succeeded: Run, tiny_folder: str, tmp_path: Path
) -> None:
    texts = ["red car", "red house", "old dog", "old rain", "cold song", "cold film"]
    acts = cs.capture(cs.load_model(tiny_folder), cs.Examples(texts, [1, 1, 2, 2, 3, 3]), "resid_post.1")
    cs.Logistic().fit(acts).save(tmp_path / "three.safetensors")
    command = steer(tiny_folder, str(tmp_path / "three.safetensors"))
    assert "--towards" in refused(*command)
    assert "has 1, 2, 3" in refused(*command, "--towards", "4")
    assert "+8 sd of 2" in succeeded(*command, "--towards", "2")


def test_square_brackets_are_text_and_not_markup(
    succeeded: Run, save: Callable[..., Path], tmp_path: Path
) -> None:
    folder = save("llama").rename(tmp_path / "a [red] model")
    acts = cs.capture(
        cs.load_model(folder), cs.Examples(["a dog", "a car"] * 4, ["[/b]", "c"] * 4), "resid_post.1"
    )
    cs.MeanDifference().fit(acts).save(tmp_path / "brackets.safetensors")
    said = succeeded(*steer(str(folder), str(tmp_path / "brackets.safetensors")), "--towards", "[/b]")
    assert "of '[/b]' at" in said
    assert "a [red] model: 3 layers" in succeeded("sites", "--model", str(folder)).replace("\n", " ")
