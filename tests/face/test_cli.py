import subprocess
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import conceptscope as cs
from conceptscope._cli import main

Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., str]
COMMANDS = (
    "tour",
    "sweep",
    "capture",
    "steer",
    "dose",
    "interact",
    "dynamics",
    "convexity",
    "numbers",
    "report",
    "sites",
)


def test_the_entry_point_is_installed() -> None:
    [script] = entry_points(group="console_scripts", name="conceptscope")
    assert script.load() is main


def test_help_names_every_command(succeeded: Run) -> None:
    said = succeeded("--help")
    assert all(command in said for command in COMMANDS)


def test_version(succeeded: Run) -> None:
    assert succeeded("--version").split() == ["conceptscope", cs.__version__]


def test_a_missing_file_is_one_line_and_code_two(start: Start, tmp_path: Path) -> None:
    process = start("sweep", "--model", "tinyworld", "--data", "nowhere.csv", "--out", str(tmp_path / "out"))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err == "there is no file 'nowhere.csv'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_one_line_and_code_two(start: Start) -> None:
    process = start("sites", "--model", "nobody/nothing")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert "nobody/nothing" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_with_130_and_leaves_nothing(interrupted: Run, tmp_path: Path) -> None:
    def ready() -> bool:  # in the hidden folder that the files are made in
        return any(tmp_path.rglob("sweep.png"))

    err = interrupted(ready, "tour", "--out", str(tmp_path / "out"))
    assert err.splitlines()[-1] == "Interrupted: nothing was written."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(succeeded: Run, command: str) -> None:
    assert "--help" in succeeded(command, "--help")
