"""Which rows an index selects."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

Rows = range | list[int]
"""Numbers of rows, in the order wanted."""


def selected_rows(index: Any, n: int) -> list[int]:
    """The rows, in order, that a slice, a boolean mask or a list of row numbers selects out of n.

    Raises:
        IndexError: a row that is not there, or a mask of another length.
        TypeError: something that selects no rows.
    """
    if isinstance(index, slice):
        return list(range(n))[index]
    chosen = np.asarray(index.detach().cpu() if isinstance(index, torch.Tensor) else index)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "biu"):
        raise TypeError(f"rows are selected by a slice, a mask or a list of row numbers, got {index!r}")
    if chosen.dtype.kind == "b":
        if len(chosen) != n:
            raise IndexError(f"the mask has {len(chosen)} entries for {n} rows")
        return [int(row) for row in np.flatnonzero(chosen)]
    if any(not -n <= row < n for row in chosen):
        raise IndexError(f"row {next(int(row) for row in chosen if not -n <= row < n)} of {n} rows")
    return [int(row) % n for row in chosen]


def take(values: Any, rows: list[int]) -> Any:
    """The given rows of a list, an array or a tensor; None stays None."""
    if values is None:
        return None
    if isinstance(values, torch.Tensor | np.ndarray):
        return values[rows]
    return [values[row] for row in rows]


def as_list(values: Any) -> list[Any]:
    """A plain list out of a sequence, an array, a tensor or a pandas column."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def check_size(name: str, size: Any) -> None:
    """Refuse a number of things that is not one.

    Raises:
        ValueError: it is not a positive whole number.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ValueError(f"{name} must be a positive whole number or None, got {size!r}")
