"""How much noise the choice of a formula's terms survives."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._best_subsets import bases, explained, subsets
from conceptscope.analyses._reduced_library import ReducedLibrary

DRAWS = 200
_SHARE = 0.05


def noise_survived(
    reduced: ReducedLibrary, best: Int[np.ndarray, " chosen"], rng: np.random.Generator
) -> float:
    """The standard deviation of noise on y up to which these terms stay the best of their number.

    With each of 200 draws of Gaussian noise, what a subset explains is a quadratic in the noise's standard
    deviation: the least root of its difference to that of the best terms is where it overtakes them. All but
    5 % of the draws are overtaken later than what this gives; infinity where nothing can overtake.
    """
    noise = rng.standard_normal((len(reduced.target), DRAWS))
    own = _quadratic(reduced, best[None], noise)
    lost = np.full(DRAWS, np.inf)
    for some in subsets(reduced.n_terms, len(best)):
        others = some[(some != best).any(1)]
        if not len(others):
            continue
        differences = [
            one - other for one, other in zip(own, _quadratic(reduced, others, noise), strict=True)
        ]
        lost = np.minimum(lost, _least_root(*differences).min(0))
    return float(np.quantile(lost, _SHARE, method="lower"))


def _quadratic(
    reduced: ReducedLibrary,
    terms: Int[np.ndarray, "subset chosen"],
    noise: Float[np.ndarray, "coordinate draw"],
) -> tuple[Float[np.ndarray, "subset 1"], Float[np.ndarray, "subset draw"], Float[np.ndarray, "subset draw"]]:
    """What subsets explain of y + s * noise: the coefficients of 1, 2 s and s^2."""
    basis = bases(reduced, terms)
    of_y, of_noise = explained(basis, reduced.target), explained(basis, noise)
    square = np.square(of_noise).sum(1)
    return np.square(of_y).sum(1)[:, None], np.einsum("sk,skd->sd", of_y, of_noise), square


def _least_root(
    constant: Float[np.ndarray, "subset 1"],
    half: Float[np.ndarray, "subset draw"],
    square: Float[np.ndarray, "subset draw"],
) -> Float[np.ndarray, "subset draw"]:
    """The least s >= 0 at which constant + 2 half s + square s^2 falls to 0; infinity where it never does."""
    ahead = np.maximum(constant, 0)
    under = half**2 - square * ahead
    reach = np.sqrt(np.maximum(under, 0))
    falls, later = (under >= 0) & (half < 0), (half >= 0) & (square < 0)
    # Of the two ways to write the root, each is taken where nothing in it cancels.
    with np.errstate(divide="ignore", invalid="ignore"):
        early = np.where(falls, ahead / (reach - half), np.inf)
        found: Float[np.ndarray, "subset draw"] = np.where(later, (half + reach) / -square, early)
    return found
