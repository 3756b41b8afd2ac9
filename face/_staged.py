"""Write a folder so that an interruption leaves nothing half-written in it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder whose files move into `folder` when the block ends well, and are lost otherwise.

    Raises:
        ValueError: `folder` is a file.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: give --out a folder, which is made if it is not there")
    home = next(parent for parent in folder.parents if parent.exists())
    stage = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=home))
    try:
        yield stage
        _move(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move(stage: Path, folder: Path) -> None:
    for source in sorted(path for path in stage.rglob("*") if path.is_file()):
        target = folder / source.relative_to(stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
