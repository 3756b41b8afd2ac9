"""A library of terms and what they are to make up, rotated into as few coordinates as there are terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

_RANK = 1e-10
"""The share of a term's length that is not a sum of others, below which it is rounding."""


@dataclass(frozen=True, eq=False)
class ReducedLibrary:
    """Terms of length 1 in an orthonormal basis of what they span: fits do not grow with the examples.

    target: y in that basis; outside: the squared length of the part of y that no term reaches.
    lengths: of the terms as given; total: the squared length of y, and ``scatter`` that about its mean.
    """

    names: tuple[str, ...]
    columns: Float[np.ndarray, "coordinate term"]
    target: Float[np.ndarray, " coordinate"]
    lengths: Float[np.ndarray, " term"]
    outside: float
    total: float
    scatter: float
    n_examples: int

    @property
    def n_terms(self) -> int:
        """How many terms there are."""
        return len(self.names)

    @classmethod
    def of(cls, library: Mapping[str, Any], y: Any) -> ReducedLibrary:
        """From values of each example.

        Raises:
            ValueError: no terms; another number of values than y has, or not more than terms; values that are
                not finite; a term that is zero or the sum of others.
        """
        wanted = finite_values("y", y)
        given = term_matrix(library, len(wanted))
        lengths = np.linalg.norm(given, axis=0)
        basis, columns = np.linalg.qr(given / lengths)
        target = basis.T @ wanted
        outside = float(np.square(wanted - basis @ target).sum())
        scatter = float(np.square(wanted - wanted.mean()).sum())
        total = float(np.square(wanted).sum())
        return cls(tuple(library), columns, target, lengths, outside, total, scatter, len(wanted))

    def coefficients(
        self, chosen: Int[np.ndarray, " chosen"], left: float
    ) -> tuple[Float[np.ndarray, " chosen"], Float[np.ndarray, " chosen"]]:
        """Least squares in the terms as given, and standard errors, where so much is left of y."""
        inverse = np.linalg.pinv(self.columns[:, chosen])
        spread = left / (self.n_examples - len(chosen))
        errors = np.sqrt(spread) * np.linalg.norm(inverse, axis=1)
        return inverse @ self.target / self.lengths[chosen], errors / self.lengths[chosen]


def finite_values(name: str, given: Any) -> Float[np.ndarray, " example"]:
    """One number for each example, in float64.

    Raises:
        ValueError: another shape, no values, or values that are not finite.
    """
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    values = np.asarray(array, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name} must be one number for each example; its shape is {values.shape}")
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(values)} values of {name} are not finite, the first is that of "
            f"example {int(bad.argmax())}: leave these examples out"
        )
    return values


def finite_matrix(name: str, given: Any) -> Float[np.ndarray, "example column"]:
    """One row of numbers for each example, in float64.

    Raises:
        ValueError: another shape, no values, or values that are not finite.
    """
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else given
    values = np.asarray(array, dtype=np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite numbers, one row an example and one column a component; "
            f"the shape is {values.shape}"
        )
    return values


def term_matrix(library: Mapping[str, Any], n_examples: int) -> Float[np.ndarray, "example term"]:
    """The terms as columns, of which none is a sum of others.

    Raises:
        ValueError: no terms; another number of values than examples, or no more examples than terms; values
            that are not finite; a term that is zero or the sum of others.
    """
    if not isinstance(library, Mapping) or not library:
        raise ValueError("the library has no terms: give {name: values, one for each example}")
    columns = [finite_values(f"the term {name!r}", values) for name, values in library.items()]
    for name, column in zip(library, columns, strict=True):
        if len(column) != n_examples:
            raise ValueError(f"the term {name!r} has {len(column)} values for {n_examples} examples")
        if not column.any():
            raise ValueError(f"the term {name!r} is zero for all examples: leave it out")
    if n_examples <= len(columns):
        raise ValueError(
            f"{n_examples} examples cannot tell {len(columns)} terms apart: give more examples or fewer terms"
        )
    found = np.stack(columns, 1)
    _check_rank(list(library), found)
    return found


def _check_rank(names: list[str], columns: Float[np.ndarray, "example term"]) -> None:
    from scipy.linalg import qr

    _, triangle, order = qr(columns / np.linalg.norm(columns, axis=0), mode="economic", pivoting=True)
    left = np.abs(np.diag(triangle))
    if left[-1] < _RANK:
        raise ValueError(f"the term {names[order[-1]]!r} is a sum of other terms: leave one of them out")
