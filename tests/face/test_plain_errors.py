import sys
from collections.abc import Callable

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from conceptscope._cli import app
from conceptscope._plain_errors import PlainErrors

Run = Callable[..., str]


def failing(error: BaseException) -> typer.Typer:
    """A program whose command "fail" raises an error."""
    program = typer.Typer(cls=PlainErrors)

    @program.callback()
    def group() -> None: ...

    @program.command()
    def fail() -> None:
        raise error

    return program


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("swep", "there is no command 'swep': did you mean sweep?"),
        ("zzz", "there is no command 'zzz': there are tour, sites, sweep, "),
        ("--foo", "conceptscope has no option --foo: there are --version, --help"),
        ("sites --mdel x", "conceptscope sites has no option --mdel: did you mean --model?"),
        ("sites --zzz x", "conceptscope sites has no option --zzz: there are --model, --help"),
        ("sites", "conceptscope sites needs --model: see conceptscope sites --help"),
        ("steer", "conceptscope steer needs prompt: see conceptscope steer --help"),
        ("sites --model", "Option '--model' requires an argument: see conceptscope --help"),
        ("tour here", "Got unexpected extra argument(s) (here): see conceptscope tour --help"),
    ],
)
def test_what_is_typed_wrongly_is_one_sentence_that_helps(refused: Run, typed: str, said: str) -> None:
    message = refused(*typed.split())
    assert message.startswith(said)
    assert message.count("\n") == 1


def test_without_arguments_there_is_the_help_and_nothing_else() -> None:
    done = CliRunner().invoke(app, [])
    assert (done.exit_code, done.stderr) == (2, "")
    assert "Begin with: conceptscope tour" in done.stdout


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("it cannot\n be done"), 2, "it cannot be done\n"),
        (KeyError("no such key"), 2, "no such key\n"),
        (FileNotFoundError("there is no file"), 2, "there is no file\n"),
        (KeyboardInterrupt(), 130, "Interrupted: nothing was written.\n"),
        (typer.Exit(3), 3, ""),
    ],
)
def test_what_a_command_raises_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, said: str
) -> None:
    done = CliRunner().invoke(failing(error), ["fail"])
    assert (done.exit_code, done.stderr) == (code, said)


def test_an_error_that_nobody_expects_keeps_its_traceback() -> None:
    assert isinstance(CliRunner().invoke(failing(RuntimeError("a bug")), ["fail"]).exception, RuntimeError)


def test_a_reader_that_went_away_is_no_complaint(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back afterwards
    with pytest.raises(SystemExit) as ended:
        get_command(failing(BrokenPipeError())).main(["fail"])
    assert (ended.value.code, capfd.readouterr().err) == (1, "")
