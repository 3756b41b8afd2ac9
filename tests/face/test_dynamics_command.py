import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import conceptscope as cs
from conceptscope.worlds import tinyworld

Run = Callable[..., str]
STEPS = ("step00000", "step00577", "step01182", "step03906")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the embedded run's checkpoints, in a folder."""
    folder = tmp_path_factory.mktemp("run")
    for name in STEPS:
        shutil.copytree(tinyworld.checkpoints_path() / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A concept in a file and one by name, as options."""
    path = tmp_path_factory.mktemp("data") / "tense.csv"
    tense = cs.load_examples("tinyworld/tense")[:60]
    pd.DataFrame({"text": tense.texts, "label": tense.labels, "group": tense.groups}).to_csv(
        path, index=False
    )
    return ["--data", str(path), "--data", "tinyworld/coin"]


def test_it_does_what_the_library_does(succeeded: Run, run: Path, data: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = succeeded(
        "dynamics", "--checkpoints", str(run), *data, "--out", str(out), "--site", "resid_post.2"
    )
    concepts = {"tense": cs.Examples.from_csv(data[1]), "coin": cs.load_examples("tinyworld/coin")}
    found = cs.trajectory(run, concepts, site="resid_post.2")
    assert found.fixed is not None
    frame = pd.read_csv(out / "dynamics.csv")
    assert frame.of.unique().tolist() == ["refitted probes", "fixed probes"]
    for one in (found, found.fixed):
        part = frame[frame.of == one.of].drop(columns="of").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, one.to_frame(), check_dtype=False)
    accuracies = pd.read_csv(out / "accuracies.csv")
    assert accuracies.accuracy.tolist()[: len(found.accuracies())] == found.accuracies().accuracy.tolist()
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracies.csv",
        "dynamics.csv",
        "dynamics.png",
        "learning.png",
    ]
    assert (out / "dynamics.png").stat().st_size > 5000
    assert f"step {found.fixed.learning_time()['tense'].step}" in said
    assert "coin was never learned: at most" in said


def test_outputs(succeeded: Run, run: Path, data: list[str], tmp_path: Path) -> None:
    said = succeeded(
        "dynamics",
        "--checkpoints",
        str(run),
        *data,
        "--out",
        str(tmp_path),
        "--of",
        "outputs",
        "--smooth",
        "1",
    )
    assert "goes on alike" in said
    assert pd.read_csv(tmp_path / "dynamics.csv").of.unique().tolist() == ["outputs"]


def test_what_was_finished_before_ctrl_c_is_gone_on_with(
    interrupted: Run, succeeded: Run, refused: Run, run: Path, data: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kept = out / ".dynamics"
    given = ("dynamics", "--checkpoints", str(run), *data, "--out", str(out))
    store = kept / "checkpoints.jsonl"
    err = interrupted(lambda: store.is_file() and store.stat().st_size > 0, *given)
    assert err == f"Interrupted: what was finished is kept in {kept}; the same command goes on from there.\n"
    assert [path.name for path in out.iterdir()] == [".dynamics"]
    assert "was begun otherwise (site None, now resid_post.1)" in refused(*given, "--site", "resid_post.1")
    before = store.read_text().splitlines()
    assert 2 <= len(before) < 5
    succeeded(*given)
    assert not kept.exists()
    assert len(pd.read_csv(out / "accuracies.csv")) == 2 * 2 * 4


def test_refusals(refused: Run, run: Path, data: list[str], tmp_path: Path) -> None:
    def said(*options: str, source: Path | str = run) -> str:
        return refused("dynamics", "--checkpoints", str(source), "--out", str(tmp_path / "out"), *options)

    assert "two concepts are called 'tense'" in said(*data, "--data", "tinyworld/tense")
    assert "there are no examples 'tens'" in said("--data", "tens")
    assert "holds no checkpoints" in said(*data, source=tmp_path)
    assert "revisions= are those of a model on the Hugging Face hub" in said(*data, "--revisions", "step1")
    assert "needs 5 of them, and there are 4" in said(*data, "--smooth", "2")
    assert not (tmp_path / "out").exists()
