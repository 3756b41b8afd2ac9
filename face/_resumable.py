"""Commands that go on where they were interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from conceptscope._console import INTERRUPTED, complain


@contextmanager
def resumable(kept: Path) -> Iterator[None]:
    """After Ctrl-C, say that what was finished is kept in a folder, if something is."""
    try:
        yield
    except KeyboardInterrupt:
        if not kept.is_dir():
            raise
        complain(f"Interrupted: what was finished is kept in {kept}; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from None
