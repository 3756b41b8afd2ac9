"""The files of a finished store, read where they are used."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conceptscope.hooks._column import Column
from conceptscope.hooks._manifest import BESIDE, CONTEXTS, EXAMPLE, LABELS, POSITION, Manifest
from conceptscope.hooks._rows import Rows
from conceptscope.hooks._site import Site

_PER_EXAMPLE = ("labels", "groups", "pairs", "contexts")
_FAR = 4
"""Rows that lie this far apart are read without what is between them."""

_AGAIN = "run the same capture into it again, which repairs it"


class Shelf:
    """The columns of a finished store; a shard's part of a column is checked before it is first read.

    Raises:
        FileNotFoundError: the folder holds no store.
        ValueError: the store is not finished, of another version, or a file is missing or cut short.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.manifest = folder, Manifest.read(folder)
        if not self.manifest.complete:
            raise ValueError(
                f"the capture into {str(folder)!r} is not finished ({self.manifest.n_examples} examples so "
                "far): run the same capture again, which goes on from there"
            )
        for name in self.manifest.columns:
            if not self._column(name).has(self.manifest.length(name)):
                raise ValueError(f"{self._column(name).path} is missing or cut short: {_AGAIN}")
        self.n_rows = self.manifest.length("rows")
        self.sites = {Site.parse(name): name for name in self.manifest.columns if not name.startswith(BESIDE)}
        self._ends = [shard.rows[1] for shard in self.manifest.shards]
        self._mapped: dict[str, Tensor] = {}
        self._sound: set[tuple[str, int]] = set()

    def __reduce__(self) -> tuple[type[Shelf], tuple[Path]]:
        return Shelf, (self.folder,)

    def described(self, site: Site) -> tuple[torch.dtype, tuple[int, ...]]:
        """The dtype of a site and the shape of a row."""
        column = self._column(self.sites[site])
        return column.dtype, column.shape

    def shard_of(self, row: int) -> int:
        """The number of the shard that holds a row."""
        return bisect.bisect_right(self._ends, row)

    def end_of(self, shard: int) -> int:
        """The row behind a shard."""
        return self._ends[shard]

    def mapped(self, site: Site, rows: Rows) -> Tensor:
        """Rows of a site: a view of the mapped file where they are a range, a copy otherwise."""
        name = self.sites[site]
        self._check(name, rows)
        if name not in self._mapped:
            self._mapped[name] = self._column(name).mapped()
        whole = self._mapped[name]
        if isinstance(rows, range) and rows.step > 0:
            return whole[rows.start : rows.stop : rows.step]
        return whole[list(rows)]

    def copied(self, site: Site, rows: Rows) -> Tensor:
        """Rows of a site in memory of their own."""
        return self._read(self.sites[site], rows)

    def known(self, rows: Rows) -> dict[str, Any]:
        """What is known about rows beside the activations."""
        example = self._read(EXAMPLE, rows)
        known: dict[str, Any] = {"example": example, "position": None} | self._per_example(example.tolist())
        for part, name in (("position", POSITION), ("contexts", CONTEXTS)):
            if name in self.manifest.columns:
                known[part] = self._read(name, rows)
        if known["groups"] is None and self.n_rows > self.manifest.n_examples:
            known["groups"] = example.tolist()
        return known

    def _per_example(self, examples: list[int]) -> dict[str, Any]:
        size = self.manifest.shard_size
        said = {shard: self._said(shard) for shard in {example // size for example in examples} or {0}}
        found: dict[str, Any] = {}
        for part in _PER_EXAMPLE:
            lists = {shard: parts[part] for shard, parts in said.items()}
            there = any(values is not None for values in lists.values())
            found[part] = [lists[e // size][e % size] for e in examples] if there else None
        return found

    def _said(self, shard: int) -> dict[str, Any]:
        first, end = self.manifest.shards[shard].labels
        self._check_shard(LABELS, shard)
        parts: dict[str, Any] = json.loads(self._column(LABELS).read(first, end).numpy().tobytes())
        return parts | {part: _hashable(parts[part]) for part in ("labels", "groups", "pairs")}

    def _read(self, name: str, rows: Rows) -> Tensor:
        if not rows:
            return self._column(name).read(0, 0)
        self._check(name, rows)
        low, high = _ends(rows)
        if high - low > _FAR * len(rows):
            return self._read_apart(name, rows)
        near = self._column(name).read(low, high + 1)
        return near if rows == range(low, low + len(near)) else near[[row - low for row in rows]]

    def _read_apart(self, name: str, rows: Rows) -> Tensor:
        """Rows with much between them: those that are near one another are read together."""
        ascending = sorted(set(rows))
        cuts = [at for at in range(1, len(ascending)) if ascending[at] - ascending[at - 1] > _FAR]
        runs = [ascending[first:end] for first, end in itertools.pairwise([0, *cuts, len(ascending)])]
        column = self._column(name)
        read = [column.read(run[0], run[-1] + 1)[[row - run[0] for row in run]] for run in runs]
        place = {row: number for number, row in enumerate(ascending)}
        return torch.cat(read)[[place[row] for row in rows]]

    def _check(self, name: str, rows: Rows) -> None:
        if isinstance(rows, range) and rows:
            low, high = _ends(rows)
            shards: Iterable[int] = range(self.shard_of(low), self.shard_of(high) + 1)
        else:
            shards = sorted(set(map(self.shard_of, rows)))
        for shard in shards:
            self._check_shard(name, shard)

    def _check_shard(self, name: str, shard: int) -> None:
        about = self.manifest.shards[shard]
        if (name, shard) not in self._sound:
            if self._column(name).checksum(*about.span(name)) != about.checksums[name]:
                raise ValueError(
                    f"{self._column(name).path} is damaged in the examples {about.examples[0]} to "
                    f"{about.examples[1] - 1}: {_AGAIN}"
                )
            self._sound.add((name, shard))

    def _column(self, name: str) -> Column:
        return self.manifest.column(self.folder, name)


def _ends(rows: Rows) -> tuple[int, int]:
    """The first and the last of some rows in the file."""
    return (
        (min(rows[0], rows[-1]), max(rows[0], rows[-1]))
        if isinstance(rows, range)
        else (min(rows), max(rows))
    )


def _hashable(values: list[Any] | None) -> list[Any] | None:
    """JSON knows no tuples, which a group may be."""
    return None if values is None else [_as_tuple(value) for value in values]


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
