"""How sure a held-out share is."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


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

    Wilson's score interval for as many independent rows as have the variance of the influences summed by
    cluster, at most the rows there are, with Student's t for few clusters. That number is divided by
    1 + folds / (folds - 1), since fits on overlapping training data err together: without it, intervals for
    a label that nothing determines cover one half in fewer than 90 % of data sets instead of 95 %.

    fewest: the number of independent rows where the share is 0 or 1, and no variance can be estimated.

    Source: Wilson 1927; Korn and Graubard 1998 (effective size); Nadeau and Bengio 2003, Machine Learning
    52:239 (overlapping training data).
    """
    from scipy.stats import t

    sums = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence)
    variance = float((sums**2).sum()) * len(sums) / (len(sums) - 1)
    spread = share * (1 - share)
    degenerate = spread <= 0 or variance <= 0
    n = fewest if degenerate else min(spread / variance, len(influence))
    n /= 1 + folds / (folds - 1)
    z2 = float(t.ppf((1 + level) / 2, len(sums) - 1)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (spread / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, float(min(centre - half, share))), min(1.0, float(max(centre + half, share)))
