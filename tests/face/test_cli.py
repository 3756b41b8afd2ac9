import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.main import get_command

import conceptscope as cs
from conceptscope.__main__ import main
from conceptscope._cli import app

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


def test_help_loads_no_torch() -> None:
    script = (
        "import sys, conceptscope._cli as cli\n"
        "try:\n    cli.app(['sweep', '--help'])\n"
        "finally:\n    print('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "False\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_of_each_command_is_one_that_it_takes(command: str) -> None:
    found = vars(get_command(app))["commands"][command]
    heading, *lines = found.epilog.splitlines()
    assert heading == "Example:"
    assert all(len(line) <= 78 for line in lines)  # as they are on eighty columns, for the clipboard
    program, name, *words = shlex.split("".join(line.removesuffix("\\") for line in lines))
    assert (program, name) == ("conceptscope", command)
    found.make_context(name, words)  # what it refuses, it refuses here


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("sweep --extractor magic", "--extractor: 'magic' is not one of 'mean-difference', "),
        ("dynamics --of magic", "--of: 'magic' is not one of 'activations', 'outputs'"),
        ("report --directions 18", "--directions: 18 is not a whole number from 19 on"),
        ("dose --directions 0", "--directions: 0 is not a whole number from 1 on"),
        ("dose --kl little", "--kl: 'little' is not a number"),
        ("convexity --permutations -1", "--permutations: -1 is not a whole number from 0 on"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_one_sentence(refused: Run, typed: str, said: str) -> None:
    message = refused(*typed.split())
    assert message.startswith(said)
    assert message.count("\n") == 1
