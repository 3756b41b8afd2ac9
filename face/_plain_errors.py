"""How commands fail: what was typed or given wrongly is one sentence on standard error, with exit code 2."""

import difflib
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from conceptscope._console import complain, sentence
from conceptscope._ctrl_c import told

REFUSED = 2

# typer's copy of click is private, and older typers take click's own
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


class PlainErrors(TyperGroup):
    """Commands whose expected errors are one sentence on standard error, with exit code 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run what was typed, and end the process with its exit code."""
        try:
            code = super().main(*args, **extra | {"standalone_mode": False})
        except _UsageError as error:
            code = REFUSED
            if said := mistyped(error):
                complain(said)
        sys.exit(code)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name.

        Raises:
            ValueError: there is none.
        """
        found = super().get_command(ctx, cmd_name)
        if found is None:
            raise ValueError(f"there is no command {cmd_name!r}: {_instead(cmd_name, list(self.commands))}")
        return found

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read what was typed."""
        with told():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with told():
                return super().invoke(ctx)
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  else the interpreter complains as it exits
            raise typer.Exit(1) from None
        except (ValueError, KeyError, OSError) as error:
            complain(sentence(error))
            raise typer.Exit(REFUSED) from None


def mistyped(error: Any) -> str:
    """What is wrong with the words of a command; empty where its help was printed instead."""
    said = error.format_message().removesuffix(".")
    command = error.ctx.command_path if error.ctx else "conceptscope"
    if hasattr(error, "possibilities"):
        params = error.ctx.command.get_params(error.ctx)
        names = [name for param in params for name in param.opts if name.startswith("--")]
        return f"{command} has no option {error.option_name}: {_instead(error.option_name, names)}"
    if "Missing" in type(error).__name__:
        return f"{command} needs {error.param.opts[0]}: see {command} --help"
    if isinstance(error, typer.BadParameter) and error.param is not None:
        # words that typer's own readers put before what is wrong with a value
        return f"{error.param.opts[0]}: {error.message.removeprefix('Value error, ').removesuffix('.')}"
    return f"{said}: see {command} --help" if said else ""


def _instead(typed: str, known: list[str]) -> str:
    near = difflib.get_close_matches(typed, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
