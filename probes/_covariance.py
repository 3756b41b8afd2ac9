"""The covariance of rows that may be fewer than the dimensions: shrunk, and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.probes._spaces import gram

Shrinkage = float | Literal["auto"]


def check_shrinkage(shrinkage: Shrinkage) -> None:
    """Refuse what is no shrinkage.

    Raises:
        ValueError: neither "auto" nor between 0 and 1.
    """
    if shrinkage != "auto" and not (isinstance(shrinkage, int | float) and 0 <= shrinkage <= 1):
        raise ValueError(f"shrinkage must be 'auto' or between 0 and 1, got {shrinkage!r}")


def inner_products(rows: Float[Tensor, "example d"]) -> Float[Tensor, "side side"]:
    """The inner products of the columns or, where these are more, of the rows: eigenvalues are the same."""
    return gram(rows.T if len(rows) >= rows.shape[1] else rows)


@dataclass(frozen=True, eq=False)
class Scatter:
    """The inner products of n centred rows: of their columns or, where these are more, of the rows.

    fourth: the sum of the fourth powers of the rows' lengths.
    rows: the centred rows, where the inner products are theirs.
    """

    inner: Float[Tensor, "side side"]
    n: int
    d: int
    fourth: float
    rows: Float[Tensor, "example d"] | None = None

    @classmethod
    def of(cls, centred: Float[Tensor, "example d"]) -> Scatter:
        """That of centred rows which are in memory."""
        n, d = centred.shape
        fourth = centred.square().sum(1).square().sum().item()
        return cls(inner_products(centred), n, d, fourth, centred if n < d else None)

    @property
    def square(self) -> float:
        """The sum of the squares of the rows' lengths."""
        return self.inner.trace().item()


def ledoit_wolf(scatter: Scatter, freedom: int) -> float:
    """The shrinkage with the least expected squared error of the covariance of centred rows.

    freedom: how many of the rows are free, after as many means as there are classes were taken away.
    """
    n = scatter.n
    size = (scatter.inner.square().sum() / n**2).item()
    distance = size - (scatter.square / n) ** 2 / scatter.d
    noise = (scatter.fourth / n - size) / freedom
    return min(max(noise, 0.0) / distance, 1.0) if distance > 0 else 1.0


def share(shrinkage: Shrinkage, scatter: Scatter, freedom: int) -> float:
    """The share that a shrinkage means; "auto" is that of Ledoit and Wolf."""
    return ledoit_wolf(scatter, freedom) if shrinkage == "auto" else shrinkage


def whiten(
    vectors: Float[Tensor, "vector d"], scatter: Scatter, shrinkage: float
) -> Float[Tensor, "vector d"]:
    """The vectors times the inverse of the shrunk covariance of centred rows.

    Where the rows are fewer than the dimensions, the inverse is taken among the rows (Woodbury's identity).

    Raises:
        ValueError: the covariance is singular and not shrunk.
    """
    weight = (1 - shrinkage) / scatter.n
    ridge = shrinkage * scatter.square / (scatter.n * scatter.d)
    matrix = weight * scatter.inner
    matrix.diagonal().add_(ridge)
    factor = _cholesky(matrix, shrinkage)
    if scatter.rows is None:
        whitened: Tensor = torch.cholesky_solve(vectors.T, factor).T
    else:
        among_rows = torch.cholesky_solve(scatter.rows @ vectors.T, factor).T
        whitened = (vectors - weight * among_rows @ scatter.rows) / ridge
    return whitened


def _cholesky(matrix: Float[Tensor, "side side"], shrinkage: float) -> Float[Tensor, "side side"]:
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    rounding = len(matrix) * torch.finfo(matrix.dtype).eps * matrix.diagonal().max()
    if failed or factor.diagonal().min().square() <= rounding:
        raise ValueError(
            f"the covariance cannot be inverted with a shrinkage of {shrinkage:.3g}: give more examples "
            "than dimensions, or a greater shrinkage"
        )
    return factor
