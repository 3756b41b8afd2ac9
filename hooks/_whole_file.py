"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A file beside the target to write to: at the end it takes the target's place, after an error it goes.

    Raises:
        ValueError: the target is a folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/new/note.txt") as partial:
    ...         _ = partial.write_text("all of it")
    ...     [file.name for file in Path(folder, "new").iterdir()]
    ['note.txt']
    """
    target = Path(path)
    if target.is_dir():
        raise ValueError(f"{str(path)!r} is a folder: give the name of a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # safetensors makes files that only their owner can read
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
