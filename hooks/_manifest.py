"""What a store says about itself: one JSON file, which is written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from conceptscope.hooks._column import Column, to_disk
from conceptscope.hooks._tensor_file import PROGRAM
from conceptscope.hooks._whole_file import whole_file

FILE = "manifest.json"
BESIDE = "rows-"
"""What the names of columns that are no sites begin with."""

EXAMPLE, POSITION, CONTEXTS = f"{BESIDE}example", f"{BESIDE}position", f"{BESIDE}contexts"
LABELS = f"{BESIDE}labels"
"""The column that holds, as bytes, a line of JSON for each shard; the others have a row for each row."""

Columns = dict[str, tuple[str, tuple[int, ...]]]
"""The columns of a store, as {name: (dtype, shape of a row)}."""

_KIND, _VERSION = "activations store", 1


@dataclass(frozen=True)
class Shard:
    """Consecutive examples that were written together.

    ``examples``, ``rows`` and ``labels`` (bytes of that column) are the first number and the one behind the
    last. fingerprint: of the examples; checksums: of what was written, by column.
    """

    examples: tuple[int, int]
    rows: tuple[int, int]
    labels: tuple[int, int]
    fingerprint: str
    checksums: dict[str, str]

    def followed_by(self, examples: int, rows: int, labels: int, fingerprint: str) -> Shard:
        """The next one, of so many of each, as yet without checksums."""
        sizes = zip((self.examples[1], self.rows[1], self.labels[1]), (examples, rows, labels), strict=True)
        spans = [(end, end + size) for end, size in sizes]
        return Shard(spans[0], spans[1], spans[2], fingerprint, {})

    def span(self, column: str) -> tuple[int, int]:
        """Where the shard is in a column."""
        return self.labels if column == LABELS else self.rows


@dataclass
class Manifest:
    """The settings of a store, its columns, and its shards in order.

    shard_size: examples in every shard but the last. complete: no example is missing.
    """

    settings: dict[str, Any]
    shard_size: int
    columns: Columns = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    complete: bool = False

    @property
    def n_examples(self) -> int:
        """Examples in the shards that were written."""
        return self.shards[-1].examples[1] if self.shards else 0

    def length(self, column: str) -> int:
        """The rows of a column, in all shards."""
        return self.shards[-1].span(column)[1] if self.shards else 0

    def column(self, folder: Path, name: str) -> Column:
        """The file of a column."""
        return column_at(folder, name, self.columns)

    def write(self, folder: Path) -> None:
        """Put it in the place of the one before, through to the disk."""
        said = {"kind": _KIND, "version": _VERSION, "written by": PROGRAM, **vars(self)}
        said["shards"] = [vars(shard) for shard in self.shards]
        with whole_file(folder / FILE) as partial:
            partial.write_text(json.dumps(said), encoding="utf-8")
            to_disk(partial)
        with suppress(PermissionError):  # Windows opens no folders
            to_disk(folder)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a store.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is not one, or of another version.
        """
        file = folder / FILE
        if not file.is_file():
            raise FileNotFoundError(f"the folder {str(folder)!r} holds no activations: it has no {FILE}")
        try:
            return cls._of(file, json.loads(file.read_bytes()))
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is not that of a store: give another folder ({error})") from error

    @classmethod
    def _of(cls, file: Path, said: Mapping[str, Any]) -> Manifest:
        if (said["kind"], said["version"]) != (_KIND, _VERSION):
            raise ValueError(
                f"{file} is version {said['version']} of the {said['kind']} format, written by "
                f"{said['written by']}, and {PROGRAM} reads version {_VERSION} of the {_KIND} format"
            )
        columns = {name: (dtype, tuple(shape)) for name, (dtype, shape) in said["columns"].items()}
        shards = [Shard(**_paired(shard)) for shard in said["shards"]]
        return cls(said["settings"], said["shard_size"], columns, shards, said["complete"])


def column_at(folder: Path, name: str, columns: Columns) -> Column:
    """The file of a column in a folder."""
    dtype, shape = columns[name]
    return Column(folder / f"{name}.safetensors", name, getattr(torch, dtype), shape)


def _paired(shard: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in shard.items()}
