"""AND effects of a sparse Fourier sum."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array
from torch import Tensor

from conceptscope.analyses._fourier_screening import Support


def subsets(support: Support) -> list[Support]:
    """All subsets of a support, the empty one first.

    >>> subsets((2, 5))
    [(), (2,), (5,), (2, 5)]
    """
    return [chosen for size in range(len(support) + 1) for chosen in combinations(support, size)]


def family(supports: tuple[Support, ...]) -> list[Support]:
    """The subsets of any support, smaller ones first."""
    found = {chosen for support in supports for chosen in subsets(support)}
    return sorted(found, key=lambda chosen: (len(chosen), chosen))


def to_moebius(
    supports: tuple[Support, ...], coefficients: Float64[Tensor, " support"]
) -> tuple[list[Support], csr_array]:
    """The AND effects of a Fourier sum that are more than rounding, and the matrix that makes them of it.

    The product of the signs 1 - 2 x of a support's players has the effect (-2)^|T| at each of its subsets T.
    """
    effects = family(supports)
    at = {effect: row for row, effect in enumerate(effects)}
    entries = [
        (at[chosen], column, (-2.0) ** len(chosen))
        for column, support in enumerate(supports)
        for chosen in subsets(support)
    ]
    rows, columns, values = zip(*entries, strict=True)
    matrix = csr_array((values, (rows, columns)), shape=(len(effects), len(supports)))
    sizes = abs(matrix @ coefficients.numpy())
    kept = np.flatnonzero(sizes > 1e-9 * sizes.max())
    return [effects[row] for row in kept], matrix[kept]


def and_effects(
    supports: tuple[Support, ...], coefficients: Float64[Tensor, " support"]
) -> dict[Support, float]:
    """The AND effects of a Fourier sum by their players, without those that are zero up to rounding.

    >>> from torch import tensor
    >>> and_effects(((), (0,), (1,), (0, 1)), tensor([0.25, -0.25, -0.25, 0.25]).double())
    {(0, 1): 1.0}
    """
    effects, matrix = to_moebius(supports, coefficients)
    return dict(zip(effects, (matrix @ coefficients.numpy()).tolist(), strict=True))
