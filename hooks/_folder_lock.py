"""A folder that others keep out of while it is written."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)
"""What network file systems answer that lock no folders."""


_PATIENCE = 30.0
"""Seconds in which processes that were told to end must have done so."""


class FolderLock:
    """A lock on a folder that is written, which goes with the process, however that ends.

    alone: no other process has one; otherwise others may have such a one too.

    Raises:
        ValueError: another process is writing to the folder.
    """

    def __init__(self, folder: Path, *, alone: bool) -> None:
        self._folder = folder
        self._handle = None if fcntl is None else os.open(folder, os.O_RDONLY)
        try:
            self._lock(alone)
        except ValueError:
            self.release()
            raise

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Let others join; at the end wait until the last of them is gone.

        Raises:
            ValueError: one of them stays.
        """
        self._lock(alone=False)
        try:
            yield
        finally:
            self._wait()

    def release(self) -> None:
        """Let all others in."""
        if self._handle is not None:
            os.close(self._handle)

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._lock(alone=True)
            except ValueError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def _lock(self, alone: bool) -> None:
        if self._handle is None:
            return
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another process is writing to {str(self._folder)!r}: wait for it, or give another folder"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise


@contextmanager
def alone(folder: Path) -> Iterator[FolderLock]:
    """Keep other processes out, but for those that join once the lock is shared.

    Raises:
        ValueError: another process is writing to the folder.
    """
    lock = FolderLock(folder, alone=True)
    try:
        yield lock
    finally:
        lock.release()
