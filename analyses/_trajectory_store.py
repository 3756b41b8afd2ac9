"""What was measured of each checkpoint, line by line in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conceptscope.analyses._trajectory_measured import Measured

_LONG = ("concepts", "prompts", "tokens")
"""Settings whose values say nothing to a reader."""


@dataclass(frozen=True)
class Record:
    """A checkpoint: what was measured by each way of reading, and why nothing could be of some concepts."""

    readings: Mapping[str, Measured]
    unknown: Mapping[str, str] = field(default_factory=dict)


class TrajectoryStore:
    """A file with the settings in its first line and a checkpoint in each other one; without a path, none.

    A last line that was cut off is written anew.

    Raises:
        ValueError: a file of something else, or of other settings.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._settings = dict(settings)
        self.records: dict[int, Record] = {}
        if self._path is not None and self._path.exists():
            self._read(self._path)

    def add(self, step: int, record: Record) -> None:
        """Keep a checkpoint's record.

        Raises:
            OSError: the file cannot be written to; what is there stays.
        """
        self.records[step] = record
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = not self._path.exists() or self._path.stat().st_size == 0
        lines: list[dict[str, Any]] = [{"settings": self._settings}] if new else []
        lines.append({"step": step, **asdict(record)})
        with self._path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path) -> None:
        if not path.is_file():
            raise ValueError(
                f"{path} is no file: store= takes the name of a file, which is made if not there"
            )
        said = path.read_bytes()
        whole = said[: said.rfind(b"\n") + 1]
        lines = whole.decode("utf-8", errors="replace").splitlines()
        if not lines and said and not said.startswith(b'{"settings"'):
            raise ValueError(_something_else(path))
        for number, line in enumerate(lines):
            self._take(path, number, line)
        if len(whole) < len(said):
            os.truncate(path, len(whole))

    def _take(self, path: Path, number: int, line: str) -> None:
        try:
            found = json.loads(line)
            if number == 0:
                different = list(_different(dict(found["settings"]), self._settings))
            else:
                readings = {kind: Measured(**one) for kind, one in found["readings"].items()}
                self.records[int(found["step"])] = Record(readings, found["unknown"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(_something_else(path)) from error
        if number == 0 and different:
            raise ValueError(
                f"{path} holds a trajectory that was begun otherwise ({'; '.join(different)}): give the same "
                "settings or another file, or delete this one"
            )


def _something_else(path: Path) -> str:
    return f"{path} holds something else than a trajectory: give a new file"


def _different(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, value in json.loads(json.dumps(now)).items():
        if before.get(name) != value:
            yield f"other {name}" if name in _LONG else f"{name} {before.get(name)}, now {value}"
