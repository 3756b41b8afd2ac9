from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import conceptscope as cs

Run = Callable[..., str]
FAST = ("--k", "3", "--permutations", "19")


def test_the_files_are_those_of_the_library(
    succeeded: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = succeeded("convexity", "--model", tiny_folder, "--data", csv_file, "--out", str(out), *FAST)
    acts = cs.capture(cs.load_model(tiny_folder), cs.Examples.from_csv(csv_file), "resid_post")
    expected = cs.convexity(acts, k=3, null="permute", permutations=19)
    found = pd.read_csv(out / "convexity.csv").set_index(["site", "class"])
    assert list(found.index) == list(expected.to_frame().index)
    assert np.allclose(found.astype(float), expected.to_frame().astype(float), equal_nan=True)
    for one in expected.sites:
        assert str(one.site) in said
        assert f"{one.mean:.3f}" in said
    with Image.open(out / "convexity.png") as picture:
        assert picture.width > 600
    assert sorted(path.name for path in out.iterdir()) == ["convexity.csv", "convexity.png"]


def test_straight_lines_without_what_they_do_not_have(succeeded: Run, csv_file: str, tmp_path: Path) -> None:
    said = succeeded(
        *("convexity", "--model", "tinyworld", "--data", csv_file, "--out", str(tmp_path / "out")),
        *("--kind", "euclidean", "--sites", "embed,resid_post.1", "--position", "mean", "--group", "group"),
    )
    assert "logistic regression" in said
    assert "degree" not in said
    assert list(pd.read_csv(tmp_path / "out" / "convexity.csv").site) == ["embed"] * 2 + ["resid_post.1"] * 2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--kind": "oval"}, "kind must be one of"),
        ({"--k": "500"}, "take a smaller k"),
        ({"--label": "text"}, "convexity needs 2"),
        ({"--data": "nowhere.csv"}, "there is no file 'nowhere.csv'"),
        ({"--sites": "resid_post.7"}, "resid_post.7"),
        ({"--permutations": "-1"}, "permutations"),
        ({"--workers": "0"}, "workers"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(refused_words: Run, changed: dict[str, str], said: str) -> None:
    assert said in refused_words("convexity", changed)
