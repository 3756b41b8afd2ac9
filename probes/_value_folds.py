"""Which rows with numbers as labels are held out together, and their shuffled labels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from conceptscope.probes._folds import check_folds


def assign_value_folds(
    values: Float[np.ndarray, " example"],
    cluster: Int[np.ndarray, " example"],
    folds: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " example"]:
    """The fold in which each row is held out: large clusters first, each to the fold with the fewest rows.

    Raises:
        ValueError: fewer than two folds, fewer clusters than folds, or labels that are all the same in the
            rows that a fold leaves.
    """
    sizes = np.bincount(cluster)
    _check_enough(sizes, folds)
    order = rng.permutation(len(sizes))
    filled = np.zeros(folds, dtype=np.int64)
    fold_of = np.empty(len(sizes), dtype=np.int64)
    for number in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of[number] = filled.argmin()
        filled[fold_of[number]] += sizes[number]
    fold: Int[np.ndarray, " example"] = fold_of[cluster]
    if any(np.ptp(values[fold != held]) == 0 for held in range(folds)):
        raise ValueError(
            "one fold holds all examples whose label differs from the others: add examples in other groups"
        )
    return fold


def _check_enough(sizes: Int[np.ndarray, " cluster"], folds: int) -> None:
    check_folds(folds)
    if len(sizes) == 1:
        raise ValueError(
            "all examples belong to one group, so none can be held out: give finer groups, or groups=None"
        )
    if len(sizes) < folds:
        unit = "examples" if sizes.max() == 1 else "groups or pairs"
        raise ValueError(
            f"{len(sizes)} {unit} are too few for {folds} folds: use folds={len(sizes)} or fewer"
        )


def shuffled_values(
    values: Float[np.ndarray, " example"], cluster: Int[np.ndarray, " example"], rng: np.random.Generator
) -> Float[np.ndarray, " example"]:
    """Labels that have nothing to do with the activations, and agree within clusters as much as before.

    Clusters exchange their means, and the rows of a cluster their deviations from it.
    """
    sizes = np.bincount(cluster)
    means = np.bincount(cluster, weights=values) / sizes
    deviations = values - means[cluster]
    exchanged = np.empty_like(values)
    exchanged[np.argsort(cluster, kind="stable")] = deviations[np.lexsort((rng.random(len(values)), cluster))]
    shuffled: Float[np.ndarray, " example"] = rng.permutation(means)[cluster] + exchanged
    return shuffled
