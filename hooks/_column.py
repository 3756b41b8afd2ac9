"""One tensor on disk that grows by blocks of rows: a safetensors file from the moment it is sealed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_HEAD = 4096
"""Bytes kept for the header, so that the rows begin on a page of their own."""

_PIECE = 1 << 24
"""Bytes that are checked at a time."""

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class Column:
    """The file of one tensor, [row, ...]; ``shape`` is that of a row."""

    path: Path
    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """The bytes of one row."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta").numel() * self.dtype.itemsize

    def write(self, first: int, rows: Tensor) -> str:
        """Write rows from the given one on, which `to_disk` brings to safety; the checksum of their bytes."""
        packed = _bytes(rows.contiguous())
        self.path.touch()  # never opened with "w", which would empty what others write at the same time
        with self.path.open("r+b", buffering=0) as file:
            file.seek(self._at(first))
            written = 0
            while written < len(packed):
                written += file.write(packed[written:])
        return _hex(zlib.crc32(packed))

    def checksum(self, first: int, end: int) -> str:
        """The checksum of the bytes of some rows on disk, of fewer where the file is cut short."""
        found = 0
        for piece in self._pieces(first, end):
            found = zlib.crc32(piece, found)
        return _hex(found)

    def seal(self, n_rows: int) -> None:
        """Make it a safetensors file of so many rows."""
        stop = self._at(n_rows)
        about = {
            self.name: {
                "dtype": DTYPES[self.dtype],
                "shape": [n_rows, *self.shape],
                "data_offsets": [0, stop - _HEAD],
            }
        }
        header = json.dumps(about).encode().ljust(_HEAD - 8)
        with self.path.open("r+b", buffering=0) as file:
            file.truncate(stop)
            file.write((_HEAD - 8).to_bytes(8, "little") + header)
        to_disk(self.path)

    def trim(self, n_rows: int) -> None:
        """Give back the space of what was written behind so many rows."""
        with suppress(FileNotFoundError):
            if self.path.stat().st_size > self._at(n_rows):
                os.truncate(self.path, self._at(n_rows))

    def has(self, n_rows: int) -> bool:
        """Whether the file has the size of exactly so many rows."""
        return self.path.is_file() and self.path.stat().st_size == self._at(n_rows)

    def mapped(self) -> Tensor:
        """All rows of a sealed file, mapped into memory.

        Raises:
            ValueError: it is no sealed file.
        """
        try:
            with safe_open(self.path, framework="pt") as opened:
                tensor: Tensor = opened.get_tensor(self.name)
                return tensor
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{self.path} is no safetensors file with {self.name} ({error})") from error

    def read(self, first: int, end: int) -> Tensor:
        """Some rows in memory of their own."""
        wanted = torch.empty((end - first, *self.shape), dtype=self.dtype)
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._at(first))
            into = _bytes(wanted)
            while into and (n := file.readinto(into)):
                into = into[n:]
        if into:
            raise ValueError(f"{self.path} is cut short: it has no row {end - 1}")
        return wanted

    def _at(self, row: int) -> int:
        return _HEAD + row * self.row_bytes

    def _pieces(self, first: int, end: int) -> Iterator[bytes]:
        left = (end - first) * self.row_bytes
        with self.path.open("rb", buffering=0) as file:
            file.seek(self._at(first))
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece


def to_disk(path: Path) -> None:
    """Wait until what was written to a file, or made in a folder, would survive the machine."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a tensor that is contiguous."""
    array: Any = tensor.view(-1).view(torch.uint8).numpy()
    return memoryview(array)


def _hex(checksum: int) -> str:
    return f"{checksum:08x}"
