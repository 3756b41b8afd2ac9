"""Ctrl-C at any moment of a command is one line and exit code 130.

A module whose import is interrupted raises errors of other kinds, or ends the process with a dump of C++, so
that a command which is stopped there ends at once.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_INTERRUPTED = 130
_NOTHING = "Interrupted: nothing was written."
_SHOW_CURSOR = "\x1b[?25h"
_IMPORTS = "<frozen importlib._bootstrap>"

Leave = Callable[[], str | None]
"""Cleans up, and says what Ctrl-C leaves; None for nothing."""

_unfinished: list[Leave] = []


def listen() -> None:
    """Let Ctrl-C end the process where a module is being imported, and raise KeyboardInterrupt elsewhere."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _pressed)


@contextmanager
def told() -> Iterator[None]:
    """Within the context, Ctrl-C ends the process with one line."""
    try:
        yield
    except KeyboardInterrupt:
        print(_NOTHING, file=sys.stderr)
        sys.exit(_INTERRUPTED)


@contextmanager
def unfinished(leave: Leave) -> Iterator[None]:
    """Within the context, Ctrl-C calls `leave` and says what it returns."""
    _unfinished.append(leave)
    try:
        yield
    except KeyboardInterrupt:
        if (said := leave()) is None:
            raise
        print(said, file=sys.stderr)
        sys.exit(_INTERRUPTED)
    finally:
        _unfinished.remove(leave)


def _pressed(number: int, frame: FrameType | None) -> None:
    if not _importing(frame):
        raise KeyboardInterrupt
    said = [leave() for leave in reversed(_unfinished)]
    shown = _SHOW_CURSOR if sys.stderr.isatty() else ""  # a spinner hides it
    os.write(2, f"{shown}{next(filter(None, said), _NOTHING)}\n".encode())
    os._exit(_INTERRUPTED)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != _IMPORTS:
        frame = frame.f_back
    return frame is not None
