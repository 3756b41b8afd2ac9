"""Commands that go on where they were interrupted."""

from contextlib import AbstractContextManager
from pathlib import Path

from conceptscope._ctrl_c import unfinished


def resumable(kept: Path) -> AbstractContextManager[None]:
    """After Ctrl-C, say that what was finished is kept in a folder, if something is."""

    def leave() -> str | None:
        if not kept.is_dir():
            return None
        return f"Interrupted: what was finished is kept in {kept}; the same command goes on from there."

    return unfinished(leave)
