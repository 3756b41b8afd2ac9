"""How well a basis predicts numbers that were held out, in closed form."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._helix_numbers import check_whole

_UNDETERMINED = 1e-9


def number_folds(n: int, folds: int, rng: np.random.Generator) -> Int[np.ndarray, " number"]:
    """The fold in which each number is held out, at random and of even size.

    Raises:
        ValueError: fewer than two folds, or fewer numbers than folds.
    """
    check_whole("folds", folds, 2)
    if n < folds:
        raise ValueError(f"{n} numbers are too few for {folds} folds: use folds={n} or fewer")
    fold = np.empty(n, dtype=np.int64)
    fold[rng.permutation(n)] = np.arange(n) % folds
    return fold


def fewest_trained(fold: Int[np.ndarray, " number"]) -> int:
    """How many numbers are left where the largest fold is held out."""
    return len(fold) - int(np.bincount(fold).max())


def orthonormal(columns: Float[np.ndarray, "number column"]) -> Float[np.ndarray, "number column"]:
    """An orthonormal basis of the columns' span.

    Raises:
        ValueError: columns that depend on one another.
    """
    q, r = np.linalg.qr(columns)
    if (np.abs(np.diag(r)) <= _UNDETERMINED * np.linalg.norm(columns, axis=0)).any():
        raise ValueError("these periods cannot be told apart in these numbers: leave some out")
    return q


def held_out_residuals(
    columns: Float[np.ndarray, "number column"],
    y: Float[np.ndarray, "number component"],
    fold: Int[np.ndarray, " number"],
) -> Float[np.ndarray, "number component"]:
    """What least squares on the other folds leave of each row: (1 - H)^-1 of the fold times its residuals.

    Raises:
        ValueError: columns that depend on one another, also where a fold is held out.
    """
    q = orthonormal(columns)
    left: Float[np.ndarray, "number component"] = y - q @ (q.T @ y)
    for number in range(fold.max() + 1):
        own = fold == number
        free = np.eye(int(own.sum())) - q[own] @ q[own].T
        if np.linalg.eigvalsh(free)[0] < _UNDETERMINED:
            raise ValueError(
                "the numbers that a fold leaves do not determine all coefficients: "
                "take more folds, more numbers or fewer periods"
            )
        left[own] = np.linalg.solve(free, left[own])
    return left


def held_out_components(
    y: Float[np.ndarray, "number component"], fold: Int[np.ndarray, " number"], k: int
) -> Float[np.ndarray, "number component"]:
    """What the first k principal components of the other folds leave of each row."""
    left = np.empty_like(y)
    for number in range(fold.max() + 1):
        own = fold == number
        middle = y[~own].mean(0)
        directions = np.linalg.svd(y[~own] - middle, full_matrices=False)[2][:k]
        centred = y[own] - middle
        left[own] = centred - centred @ directions.T @ directions
    return left


def squares(left: Float[np.ndarray, "number component"]) -> Float[np.ndarray, " number"]:
    """The squared length of each row."""
    found: Float[np.ndarray, " number"] = np.square(left).sum(1)
    return found


def ratio_error(parts: Float[np.ndarray, " number"], wholes: Float[np.ndarray, " number"]) -> float:
    """The standard error of sum(parts) / sum(wholes) over numbers, to first order."""
    ratio = parts.sum() / wholes.sum()
    n = len(parts)
    return float(np.sqrt(n / (n - 1) * np.square(parts - ratio * wholes).sum()) / wholes.sum())
