"""How sure a held-out share is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

_PRIOR = 1.0
"""The weight, in clusters, of the cautious guess that the rows of a cluster all agree."""


def cross_validated_interval(
    share: float,
    influence: Float[np.ndarray, " example"],
    cluster: Int[np.ndarray, " example"],
    *,
    folds: int,
    fewest: int,
    level: float = 0.95,
) -> tuple[float, float]:
    """A confidence interval for a share (accuracy, AUROC) estimated by cross-validation.

    Wilson's score interval, with Student's t for few clusters, for the number of independent rows that the
    data are worth: as many as give the variance of the influences summed by cluster, drawn towards `fewest`
    where that variance rests on few clusters (a probe that errs in one group only, or never).

    Fits on overlapping training data err together, which widens the interval: at a share of one half the
    variance is multiplied by 1 + folds / (folds - 1), and towards 0 and 1 by less, as the covariance of two
    Gaussian margins cut at that share falls. Without this, intervals for a label that nothing determines
    cover one half in fewer than 90 % of data sets instead of 95 %.

    fewest: the number of independent rows if those of a cluster always agree.

    Source: Wilson 1927; Korn and Graubard 1998 (effective size); Nadeau and Bengio 2003, Machine Learning
    52:239 (overlapping training data).
    """
    from scipy.stats import t

    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence)
    n = _independent_rows(share, sums, len(influence), fewest) / (1 + folds / (folds - 1) * _shared(share))
    z2 = float(t.ppf((1 + level) / 2, len(sums) - 1)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, float(min(centre - half, share))), min(1.0, float(max(centre + half, share)))


def _independent_rows(share: float, sums: Float[np.ndarray, " cluster"], rows: int, fewest: int) -> float:
    squares = float((sums**2).sum())
    if squares == 0 or share in (0.0, 1.0):
        return fewest
    measured = share * (1 - share) / squares * (len(sums) - 1) / len(sums)
    rests_on = squares**2 / float((sums**4).sum())
    return (rests_on + _PRIOR) / (rests_on / min(measured, rows) + _PRIOR / fewest)


def _shared(share: float) -> float:
    """The covariance of two Gaussian margins cut at a share over the variance, relative to one half."""
    from scipy.stats import norm

    if share in (0.0, 1.0):
        return 0.0
    return float(np.pi / 2 * norm.pdf(norm.ppf(share)) ** 2 / (share * (1 - share)))
