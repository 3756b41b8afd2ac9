"""How much of a circle the waves of one period make."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_numbers import NumberMeans


def circularity(means: NumberMeans, basis: Basis, period: float) -> float:
    """s2/s1 of the coefficients of a period's cosine and sine: 1 is a circle, 0 a wave that stays flat.

    Noise in many dimensions would make a circle of anything, so its expected share of the coefficients'
    inner products is taken away first. NaN where the period has one wave, as 2 has, or no signal.
    """
    own = [at for at, wave in enumerate(basis.waves, 1 + basis.degree) if wave[1] == period]
    if len(own) < 2:
        return float("nan")
    columns = basis.columns(means.numbers)
    coefficients: Float[np.ndarray, "column component"] = np.linalg.lstsq(
        columns, means.coordinates, rcond=None
    )[0]
    left = np.square(means.coordinates - columns @ coefficients).sum()
    noise = left / max(len(columns) - basis.size, 1) * np.linalg.inv(columns.T @ columns)[np.ix_(own, own)]
    small, large = np.linalg.eigvalsh(coefficients[own] @ coefficients[own].T - noise)
    return float(np.sqrt(max(small, 0.0) / large)) if large > 0 else float("nan")
