"""What the command line writes to, and how it fails: one plain sentence, never a traceback."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.text import Text

_ACTED_ON = (r"about \d+% of the tokens are", "the weights of")
"""How warnings of texts that the tokenizer does not know, and of a head that is not there, begin."""

_HARMLESS = "\n\xa0\u200c\u200d"
"""Characters without a picture that texts have: lines, firm spaces, joiners in emoji and in Persian."""

console = Console()
stderr = Console(stderr=True)


def quiet() -> None:
    """Keep other libraries' logs, warnings and bars off the screen; call before they are imported.

    A warning that the user can act on is one line.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.simplefilter("ignore")
    for said in _ACTED_ON:
        warnings.filterwarnings("once", message=said)
    warnings.showwarning = lambda message, *where: complain(str(message))
    logging.disable(logging.WARNING)


def sentence(error: Exception) -> str:
    """An error's message on one line, without the quotes that a KeyError puts round it."""
    said = error.args[0] if isinstance(error, KeyError) and error.args else error
    if isinstance(error, OSError) and error.strerror and error.filename:
        said = f"{error.strerror}: {error.filename}"
    return " ".join(str(said).split()) or type(error).__name__


def printable(text: str) -> str:
    """A text whose control characters, which a terminal would obey, are written out; lines stay."""
    return "".join(c if c.isprintable() or c in _HARMLESS else repr(c)[1:-1] for c in text)


def complain(message: str) -> None:
    """Write one sentence to standard error."""
    stderr.print(printable(message), style="red", markup=False, highlight=False, soft_wrap=True)


def working(on: str) -> Status:
    """A spinner that says what is being done, for work whose length is not known."""
    return console.status(Text(on))


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
