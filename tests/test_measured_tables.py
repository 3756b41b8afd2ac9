"""The tables of the README and of docs/measured.md are what the benchmarks found."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
NOT_MEASURING = {"run", "tables", "trajectory_picture"}
NEEDS_A_GPU = {"gpu"}


@pytest.fixture
def tables(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("tables")


@pytest.mark.parametrize("page", ["README.md", "docs/measured.md"])
def test_a_page_has_the_tables_that_were_measured(tables: ModuleType, page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(tables.MARKED.findall(text)) >= 3
    assert tables.filled(text) == text, "run make tables"


def test_every_benchmark_is_run_and_has_its_place(
    benchmark_module: Callable[[str], ModuleType],
) -> None:
    files = {path.stem for path in BENCHMARKS.glob("[a-z]*.py")} - NOT_MEASURING
    assert set(benchmark_module("run").BENCHMARKS) == files
    marks = re.findall(r"<!-- bench (\w+) -->", (ROOT / "docs" / "measured.md").read_text())
    assert sorted(marks) == sorted(files - NEEDS_A_GPU)
    for name in files - NEEDS_A_GPU:
        found = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())
        assert (found["benchmark"], found["quick"]) == (name, False)
        assert found["tables"]


def test_what_is_missed_is_bold_and_a_quick_run_is_not_taken_over(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, results, found = tmp_path / "page.md", tmp_path / "results", tmp_path / "found"
    monkeypatch.setattr(tables, "PAGES", (page,))
    monkeypatch.setattr(tables, "RESULTS", results)
    page.write_text("before\n<!-- bench sweeping -->\nold\n<!-- end -->\nafter\n")
    found.mkdir()
    one = json.loads((BENCHMARKS / "results" / "sweeping.json").read_text())
    one["tables"] = [{"title": "t", "columns": ["what", "bar"], "rows": [["a|b", "missed"]], "notes": []}]
    (found / "sweeping.json").write_text(json.dumps(one))
    (found / "store.json").write_text(json.dumps({**one, "quick": True}))
    tables.main(str(found))
    assert [path.name for path in results.iterdir()] == ["sweeping.json"]
    text = page.read_text()
    assert text.startswith("before\n<!-- bench sweeping -->\n**t**\n\n| what | bar |\n| --- | --- |\n")
    assert "| a\\|b | **missed** |" in text
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text


def test_a_row_that_is_gone_is_named(tables: ModuleType) -> None:
    with pytest.raises(SystemExit, match="no row of sweeping is like 'nothing like it'"):
        tables.row_of("sweeping", "nothing like it")


def test_a_benchmark_that_breaks_off_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("the one that breaks off for lack of a GPU does not")
    command = [sys.executable, str(BENCHMARKS / "run.py"), "gpu", "--out", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "gpu: broke off" in ran.stdout
    assert "torch sees no GPU here" in ran.stderr
    assert list(tmp_path.iterdir()) == []
