from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import conceptscope as cs

Run = Callable[..., str]


@pytest.fixture(scope="module")
def swept(succeeded: Run, tiny_folder: str, csv_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("swept") / "out"
    said = succeeded("sweep", "--model", tiny_folder, "--data", csv_file, "--out", str(out))
    assert all(f"resid_post.{layer}" in said for layer in range(3))
    return out


def test_the_table_is_that_of_the_library(swept: Path, tiny_folder: str, csv_file: str) -> None:
    model = cs.load_model(tiny_folder)
    acts = cs.capture(model, cs.Examples.from_csv(csv_file), "resid_post", position="last")
    expected = cs.sweep(acts, cs.MeanDifference(), folds=5).to_frame()
    found = pd.read_csv(swept / "sweep.csv")
    assert list(found.columns) == list(expected.columns)
    assert list(found.site) == [str(site) for site in expected.site]
    assert np.allclose(found.drop(columns="site").astype(float), expected.drop(columns="site").astype(float))


def test_a_concept_for_each_site_that_reads_its_data(swept: Path, tiny_folder: str, csv_file: str) -> None:
    acts = cs.capture(cs.load_model(tiny_folder), cs.Examples.from_csv(csv_file), "resid_post")
    paths = sorted((swept / "concepts").iterdir())
    assert [path.name for path in paths] == [f"resid_post.{layer}.safetensors" for layer in range(3)]
    concept = cs.Concept.load(paths[1])
    again = cs.MeanDifference().fit(acts, "resid_post.1")
    assert np.allclose(concept.read(acts["resid_post.1"]), again.read(acts["resid_post.1"]), atol=1e-5)


def test_the_picture_is_a_picture(swept: Path) -> None:
    with Image.open(swept / "sweep.png") as picture:
        assert picture.width > 600
        assert len(set(picture.convert("L").getdata())) > 10


def test_sites_position_extractor_and_columns_are_passed_on(
    succeeded: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    renamed = pd.read_csv(csv_file).rename(columns={"text": "t", "label": "l", "group": "g"})
    renamed.to_csv(tmp_path / "data.csv", index=False)
    out = tmp_path / "out"
    succeeded(
        *("sweep", "--model", tiny_folder, "--data", str(tmp_path / "data.csv"), "--out", str(out)),
        *("--text", "t", "--label", "l", "--group", "g", "--sites", "mlp_out.0,resid_post.-1"),
        *("--position", "-2", "--folds", "3", "--extractor", "logistic"),
    )
    assert list(pd.read_csv(out / "sweep.csv").site) == ["mlp_out.0", "resid_post.2"]
    concept = cs.Concept.load(out / "concepts" / "mlp_out.0.safetensors")
    assert concept.method == "logistic regression"
    assert concept.position == "-2"


def test_a_built_in_set(succeeded: Run, tiny_folder: str, tmp_path: Path) -> None:
    said = succeeded(
        *("sweep", "--model", tiny_folder, "--data", "sentiment", "--sites", "resid_post.0"),
        *("--folds", "2", "--out", str(tmp_path)),
    )
    assert "resid_post.0" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--data": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ({"--data": "nowhere.jsonl"}, "there is no file 'nowhere.jsonl'"),
        ({"--data": "tinyworld/sentimant"}, "did you mean 'tinyworld/sentiment'"),
        ({"--data": __file__}, "neither a .csv nor a .jsonl file: save the table as one of these"),
        ({"--data": "nowhere.xlsx"}, "there is no file 'nowhere.xlsx'"),
        ({"--data": "."}, ". is a folder: give a .csv or .jsonl file"),
        ({"--text": "sentence"}, "sentence"),
        ({"--label": "mood"}, "mood"),
        ({"--group": "topic"}, "topic"),
        ({"--label": "text"}, "class"),
        ({"--sites": "resid_pst.1"}, "did you mean"),
        ({"--sites": "resid_post.7"}, "resid_post.7"),
        ({"--position": "middle"}, "middle"),
        ({"--model": "nobody/nothing"}, "nobody/nothing"),
        ({"--model": "/nowhere/at/all"}, "/nowhere/at/all"),
        ({"--folds": "1"}, "fold"),
        ({"--out": __file__}, "is a file"),
        ({"--extractor": "magic"}, "magic"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(refused_words: Run, changed: dict[str, str], said: str) -> None:
    assert said in refused_words("sweep", changed)


def test_every_extractor_that_is_offered_is_known(succeeded: Run, tmp_path: Path) -> None:
    from conceptscope._cli import ExtractorName
    from conceptscope._sweep_command import _EXTRACTORS

    assert set(_EXTRACTORS) == {name.value for name in ExtractorName}
    for name in ("leace", "principal-direction"):
        out = tmp_path / name
        succeeded(
            *("sweep", "--model", "tinyworld", "--data", "tinyworld/tense", "--sites", "resid_post.1"),
            *("--extractor", name, "--out", str(out)),
        )
        concept = cs.Concept.load(out / "concepts" / "resid_post.1.safetensors")
        assert concept.method == type(_EXTRACTORS[name])().fit(tense()).method


def tense() -> cs.Activations:
    return cs.capture(cs.load_model("tinyworld"), cs.load_examples("tinyworld/tense"), "resid_post.1")
