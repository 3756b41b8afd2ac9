"""Write a folder so that an interruption leaves nothing half-written in it."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from conceptscope._ctrl_c import unfinished


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well, and are lost otherwise.

    Raises:
        OSError: nothing can be written there.
        ValueError: `folder` is a file.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give --out a folder, which is made if it is not there")
    home = next(parent for parent in folder.parents if parent.exists())
    stage = home / f".{folder.name}-{secrets.token_hex(8)}"
    remove = partial(shutil.rmtree, stage, ignore_errors=True)
    try:  # before the folder is made, since Ctrl-C comes at any moment
        with unfinished(remove):
            _make(stage)
            yield stage
            _move(stage, folder)
    finally:
        remove()


def _make(stage: Path) -> None:
    try:
        stage.mkdir(mode=0o700)
    except OSError as error:
        raise OSError(
            f"nothing can be written in {stage.parent} ({error.strerror}): give another --out"
        ) from error


def _move(stage: Path, folder: Path) -> None:
    for source in sorted(path for path in stage.rglob("*") if path.is_file()):
        target = folder / source.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
