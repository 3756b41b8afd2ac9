"""A basis fitted to the number means, with what it explains of them and predicts of held-out ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_folds import held_out_residuals, ratio_error, squares
from conceptscope.analyses._helix_numbers import NumberMeans


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The number means, the folds in which numbers are held out, and how far off their training mean is."""

    means: NumberMeans
    fold: Int[np.ndarray, " number"]
    wholes: Float[np.ndarray, " number"]

    @classmethod
    def of(cls, means: NumberMeans, fold: Int[np.ndarray, " number"]) -> HeldOut:
        """With the errors of the training means."""
        constant = np.ones((len(fold), 1))
        return cls(means, fold, squares(held_out_residuals(constant, means.coordinates, fold)))

    def errors(self, basis: Basis) -> Float[np.ndarray, " number"]:
        """The squared error of each number's prediction.

        Raises:
            ValueError: the numbers that a fold leaves do not determine all coefficients.
        """
        columns = basis.columns(self.means.numbers)
        return squares(held_out_residuals(columns, self.means.coordinates, self.fold))

    def r2(self, errors: Float[np.ndarray, " number"]) -> float:
        """The share of the training means' error that is gone; below 0 where predictions are worse."""
        return float(1 - errors.sum() / self.wholes.sum())

    def error_of(self, parts: Float[np.ndarray, " number"]) -> float:
        """The standard error of an R2, or of a difference of two, whose errors (or their differences)."""
        return ratio_error(parts, self.wholes)


@dataclass(frozen=True)
class BasisScore:
    """One basis, or a control. r2: of the number means; cv_r2: of held-out ones; se: of the latter."""

    name: str
    n_coefficients: int
    r2: float
    cv_r2: float
    se: float


@dataclass(frozen=True, eq=False)
class FittedBasis:
    """A basis with its coefficients in activation units."""

    basis: Basis
    coefficients: Float[np.ndarray, "column d"]

    @classmethod
    def of(cls, means: NumberMeans, basis: Basis) -> FittedBasis:
        """Least squares on all numbers."""
        found = np.linalg.lstsq(basis.columns(means.numbers), means.coordinates, rcond=None)[0]
        return cls(basis, found @ means.directions)


def scored(name: str, held_out: HeldOut, basis: Basis) -> BasisScore:
    """What a basis explains and predicts."""
    y = held_out.means.coordinates
    columns = basis.columns(held_out.means.numbers)
    left = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    errors = held_out.errors(basis)
    r2 = float(1 - np.square(left).sum() / np.square(y).sum())
    return BasisScore(name, basis.size, r2, held_out.r2(errors), held_out.error_of(errors))
