"""A tiny model folder, labelled texts in a file, and the command line in this process and in another."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conceptscope._cli import app

NOUNS = ["film", "dog", "garden", "river", "violin", "house", "car", "apple", "song", "rain"]
GOOD, BAD = ["good", "happy", "wonderful"], ["cold", "old", "small"]


@pytest.fixture(scope="session")
def tiny_folder(save: Callable[..., Path]) -> str:
    return str(save("llama"))


@pytest.fixture(scope="session")
def csv_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = ["text,label,group"]
    for noun in NOUNS:
        rows += [f"The {noun} was {word},good,{noun}" for word in GOOD]
        rows += [f"The {noun} was {word},bad,{noun}" for word in BAD]
    path = tmp_path_factory.mktemp("data") / "words.csv"
    path.write_text("\n".join(rows))
    return str(path)


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """``refused(*arguments)``: runs a command that must fail with code 2, and gives what it said."""

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        return result.stderr

    return run


@pytest.fixture
def refused_words(
    refused: Callable[..., str], tiny_folder: str, csv_file: str, tmp_path: Path
) -> Callable[[str, dict[str, str]], str]:
    """``refused_words(command, changed)``: refused for changed options, without a trace; what was said."""

    def run(command: str, changed: dict[str, str]) -> str:
        options = {"--model": tiny_folder, "--data": csv_file, "--out": str(tmp_path / "out")} | changed
        message = refused(command, *(part for option in options.items() for part in option))
        assert "Traceback" not in message
        assert list(tmp_path.iterdir()) == []
        return message

    return run


@pytest.fixture(scope="session")
def succeeded() -> Callable[..., str]:
    """``succeeded(*arguments)``: runs a command that must succeed, and gives what it printed."""

    def run(*arguments: str) -> str:
        result = CliRunner(env={"COLUMNS": "100"}).invoke(app, arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """``start(*arguments)``: the command line in a process of its own."""

    def popen(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "conceptscope", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            # a shell's background jobs ignore Ctrl-C, and so would what they start
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    return popen


@pytest.fixture(scope="session")
def interrupted(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """``interrupted(ready, *arguments)``: a command stopped by Ctrl-C once ready() holds; what it said."""

    def run(ready: Callable[[], bool], *arguments: str) -> str:
        process = start(*arguments)
        deadline = time.monotonic() + 120
        while not ready():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "Traceback" not in err
        return err

    return run
