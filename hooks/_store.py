"""A folder of activations while it is written, shard after shard."""

from __future__ import annotations

import errno
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._column import DTYPES, Column, to_disk
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._fingerprint import fingerprint, labels_line
from conceptscope.hooks._folder_lock import FolderLock, alone
from conceptscope.hooks._manifest import (
    BESIDE,
    CONTEXTS,
    EXAMPLE,
    FILE,
    LABELS,
    POSITION,
    Columns,
    Manifest,
    Shard,
    column_at,
)

_NOTHING = Shard((0, 0), (0, 0), (0, 0), "", {})
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Written:
    """A shard whose rows are on disk, with its checksums, and the columns that it has."""

    shard: Shard
    columns: Columns


class Store:
    """Shards of activations on disk, of which each is there as a whole or not at all.

    Every site has one file, to which a shard's rows are added; the manifest, written last, says that they
    are there. So a site is one tensor that can be mapped into memory, and what a dead process left behind
    the last shard is written over.
    """

    def __init__(self, folder: Path, manifest: Manifest, lock: FolderLock) -> None:
        self.folder, self._manifest, self._lock = folder, manifest, lock
        self._placed: dict[int, Shard] = {}
        self._damaged = {n for n, shard in enumerate(manifest.shards) if not self._is_sound(shard)}
        if self._damaged and manifest.complete:
            manifest.complete = False
            manifest.write(folder)

    @property
    def columns(self) -> Columns:
        """What every shard has; nothing before the first one is there."""
        return self._manifest.columns

    @property
    def shard_size(self) -> int:
        """Examples in every shard but the last."""
        return self._manifest.shard_size

    @property
    def n_examples(self) -> int:
        """Examples that are there."""
        return self._manifest.n_examples - sum(
            end - first for first, end in (self._manifest.shards[n].examples for n in self._damaged)
        )

    def holds(self, number: int, data: Examples) -> bool:
        """Whether a shard is there, undamaged.

        Raises:
            ValueError: it is there, of other examples than these.
        """
        shards, first = self._manifest.shards, number * self.shard_size
        if number >= len(shards) and not self._manifest.complete:
            return False
        if number >= len(shards) or shards[number].fingerprint != fingerprint(data):
            raise ValueError(
                f"the store {str(self.folder)!r} was made of other examples: between the examples {first} "
                f"and {first + len(data) - 1} texts, labels, groups, pairs, contexts, spans or their order "
                "differ; give another folder"
            )
        return number not in self._damaged

    def first_rows(self, number: int) -> dict[str, Tensor]:
        """What is there, at each site, of the first example of a shard."""
        shard = self._manifest.shards[number]
        examples = self._column(EXAMPLE).read(*shard.rows)
        end = shard.rows[0] + int((examples == shard.examples[0]).sum())
        sites = [name for name in self._manifest.columns if not name.startswith(BESIDE)]
        return {site: self._column(site).read(shard.rows[0], end) for site in sites}

    def put(self, number: int, data: Examples, found: Activations) -> None:
        """Write the activations of a shard's examples; shards come in their order.

        Raises:
            OSError: it cannot be written; the store is as it was before.
            TypeError: labels, groups, pairs or contexts that are neither numbers nor text; a dtype that files
                do not know.
            ValueError: activations of other sites or shapes, or of another number of rows when a damaged
                shard is written anew.
        """
        shard = self.place(number, data, found.n_rows)
        self.commit(number, write_shard(self.folder, shard, data, found, self.columns))

    def place(self, number: int, data: Examples, n_rows: int) -> Shard:
        """Where a shard goes, behind those that were placed before it; nothing is written.

        Raises:
            TypeError: labels, groups, pairs or contexts that are neither numbers nor text.
            ValueError: another number of rows than a damaged shard had.
        """
        shards = self._manifest.shards
        before = self._placed.get(number - 1) or (shards[number - 1] if number else _NOTHING)
        shard = before.followed_by(len(data), n_rows, len(labels_line(data)), fingerprint(data))
        if number < len(shards) and shard.rows != shards[number].rows:
            raise ValueError(
                f"shard {number} of {str(self.folder)!r} is damaged, and now has {n_rows} rows where "
                "it had another number: capture into another folder"
            )
        self._placed[number] = shard
        return shard

    def commit(self, number: int, written: Written) -> None:
        """Say that a shard is there; shards come in their order.

        Raises:
            OSError: the manifest cannot be written; the store is as it was before.
            ValueError: activations of other sites or shapes than those before.
        """
        if not self._manifest.columns:
            self._manifest.columns = written.columns
        _check_columns(self.folder, written.columns, self._manifest.columns)
        del self._placed[number]
        self._manifest.shards[number : number + 1] = [written.shard]
        self._damaged.discard(number)
        self._manifest.write(self.folder)

    def shared(self) -> AbstractContextManager[None]:
        """Let processes that `join_store` write shards; at the end wait until they are gone."""
        return self._lock.shared()

    def finish(self, n_examples: int) -> None:
        """Say that these are all examples.

        Raises:
            ValueError: the store has more of them.
        """
        if self._manifest.n_examples != n_examples:
            raise ValueError(
                f"the store {str(self.folder)!r} was made of other examples: it has "
                f"{self._manifest.n_examples}, and these are {n_examples}; give another folder"
            )
        if self._manifest.complete:
            return
        for name in self._manifest.columns:
            self._column(name).seal(self._manifest.length(name))
        self._manifest.complete = True
        self._manifest.write(self.folder)

    def trim(self) -> None:
        """Give back the space of a shard that was not finished."""
        if not self._manifest.shards:
            for path in self.folder.glob("*.safetensors"):
                path.unlink()
        for name in self._manifest.columns:
            self._column(name).trim(self._manifest.length(name))

    def _is_sound(self, shard: Shard) -> bool:
        try:
            return all(
                self._column(name).checksum(*shard.span(name)) == checksum
                for name, checksum in shard.checksums.items()
            )
        except FileNotFoundError:
            return False

    def _column(self, name: str) -> Column:
        return self._manifest.column(self.folder, name)


def write_shard(folder: Path, shard: Shard, data: Examples, found: Activations, columns: Columns) -> Written:
    """Write the rows of a shard where it was placed; they are there once the store commits them.

    columns: what the shards before it have, which this one must have too; nothing where there are none.

    Raises:
        OSError: it cannot be written.
        TypeError: a dtype that files do not know.
        ValueError: activations of other sites or shapes than those before.
    """
    tensors = _tensors(found, data, shard.examples[0])
    here = _described(tensors)
    _check_columns(folder, here, columns or here)
    sums: dict[str, str] = {}
    for name, tensor in tensors.items():
        column = column_at(folder, name, here)
        sums[name] = column.write(shard.span(name)[0], tensor)
    for name in tensors:
        to_disk(column_at(folder, name, here).path)
    return Written(replace(shard, checksums=sums), here)


@contextmanager
def open_store(
    folder: str | Path, settings: Mapping[str, Any], shard_size: Callable[[], int]
) -> Iterator[Store]:
    """The store in a folder to write to, begun or taken up again; one process at a time.

    shard_size: asked for when a store is begun.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
        ValueError: the folder holds something else, or a store with other settings, or is being written.
    """
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ValueError(f"store={str(folder)!r} is a file: give a folder")
    with _made(path), alone(path) as lock, _full_disk_said(path):
        for leftover in path.glob(".*.part"):
            leftover.unlink()
        manifest = _taken_up(path, dict(settings)) or _begun(path, dict(settings), shard_size)
        store = Store(path, manifest, lock)
        try:
            yield store
        except OSError:
            store.trim()
            raise


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; what was made and is still empty after an error is taken away again."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in new:
                path.rmdir()
        raise


def join_store(folder: Path) -> FolderLock:
    """Take part in the writing of a store that another process has opened, for as long as the lock is held.

    Raises:
        ValueError: there is no store here, or the process that opened it is gone.
    """
    if not (folder / FILE).is_file():
        raise ValueError(
            f"the store {str(folder)!r} is not there on {platform.node()}: give a folder on a disk that all "
            "machines share"
        )
    return FolderLock(folder, alone=False)


def _taken_up(folder: Path, settings: dict[str, Any]) -> Manifest | None:
    if not (folder / FILE).exists():
        return None
    manifest = Manifest.read(folder)
    names = [*settings, *(manifest.settings.keys() - settings.keys())]
    differ = [
        f"{name} {manifest.settings.get(name)!r} there and {settings.get(name)!r} here"
        for name in names
        if manifest.settings.get(name) != settings.get(name)
    ]
    if differ:
        raise ValueError(
            f"the store {str(folder)!r} is of another capture: {'; '.join(differ)}; give another folder"
        )
    return manifest


def _begun(folder: Path, settings: dict[str, Any], shard_size: Callable[[], int]) -> Manifest:
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        raise ValueError(
            f"the folder {str(folder)!r} is not empty and no store (it has {others[0]!r}): give another one"
        )
    manifest = Manifest(settings, shard_size())
    manifest.write(folder)
    return manifest


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise OSError(
            error.errno,
            f"there is no room for the next shard of {str(folder)!r}: what is there is complete; make room "
            "and run the same capture again, which goes on from there",
        ) from error


def _described(tensors: Mapping[str, Tensor]) -> Columns:
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            raise TypeError(f"a store keeps no {tensor.dtype}, which {name} has: choose another dtype")
    return {name: (str(x.dtype).removeprefix("torch."), tuple(x.shape[1:])) for name, x in tensors.items()}


def _check_columns(folder: Path, columns: Columns, before: Columns) -> None:
    if columns != before:
        raise ValueError(f"a shard of {str(folder)!r} has {columns}, and those before it {before}")


def _tensors(found: Activations, data: Examples, first: int) -> dict[str, Tensor]:
    """What a shard adds to each column."""
    columns = {str(site): tensor.cpu() for site, tensor in found.items()}
    columns[EXAMPLE] = found.example + first
    if found.position is not None:
        columns[POSITION] = found.position
    if hasattr(found.contexts, "shape"):
        columns[CONTEXTS] = torch.as_tensor(found.contexts)
    columns[LABELS] = torch.frombuffer(bytearray(labels_line(data)), dtype=torch.uint8)
    return columns
