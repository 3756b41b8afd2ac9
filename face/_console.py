"""What the command line writes to, and how it fails: one plain sentence, never a traceback."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.text import Text
from typer.core import TyperGroup

REFUSED = 2
INTERRUPTED = 130

console = Console()
stderr = Console(stderr=True)


def quiet() -> None:
    """Keep other libraries' logs, warnings and bars off the screen; call before they are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def sentence(error: Exception) -> str:
    """An error's message on one line, without the quotes that a KeyError puts round it."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(said).split()) or type(error).__name__


def printable(text: str) -> str:
    """A text whose control characters, which a terminal would obey, are written out; lines stay."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def complain(message: str) -> None:
    """Write one sentence to standard error."""
    stderr.print(printable(message), style="red", markup=False, highlight=False, soft_wrap=True)


def working(on: str) -> Status:
    """A spinner that says what is being done, for work whose length is not known."""
    return console.status(Text(on))


class PlainErrors(TyperGroup):
    """Commands whose expected errors are one sentence on standard error, with exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Ctrl-C ends with 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            complain("Interrupted: nothing was written.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  else the interpreter complains as it exits
            raise typer.Exit(1) from None
        except (ValueError, KeyError, OSError) as error:
            complain(sentence(error))
            raise typer.Exit(REFUSED) from None


class Steps:
    """The numbered steps of a long command, above one bar that counts its parts."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total)
        self._number = 0

    def begin(self, title: str) -> None:
        """Write the next step's heading."""
        self._number += 1
        self._bar.update(self._task, description=title)
        self.heading(f"{self._number}  {title}")

    def heading(self, title: str) -> None:
        """Write a heading without a number."""
        console.print(f"\n[bold blue]{title}[/bold blue]")

    def tick(self) -> None:
        """One part more is done."""
        self._bar.advance(self._task)


@contextmanager
def steps(total: int) -> Iterator[Steps]:
    """Steps whose bar counts `total` parts of the work and is gone when they are done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield Steps(bar, total)
