"""Which rows are held out together."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Int


def assign_folds(
    codes: Int[np.ndarray, " example"],
    cluster: Int[np.ndarray, " example"],
    classes: Sequence[Any],
    folds: int,
    seed: int,
) -> Int[np.ndarray, " example"]:
    """The fold in which each row is held out: no cluster is split, and classes are spread evenly.

    Raises:
        ValueError: fewer than two folds, one cluster, or a class in fewer clusters than there are folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    _check_enough(codes, cluster, classes, folds)
    singles = len(np.unique(cluster)) == len(cluster)
    kind = StratifiedKFold if singles else StratifiedGroupKFold
    splits = kind(folds, shuffle=True, random_state=seed).split(
        codes[:, None], codes, None if singles else cluster
    )
    fold = np.empty(len(codes), dtype=np.int64)
    for number, (_, held_out) in enumerate(splits):
        fold[held_out] = number
    for number in range(folds):
        missing = set(range(len(classes))) - set(codes[fold != number].tolist())
        if missing or not (fold == number).any():
            raise ValueError(
                f"the groups are too uneven for {folds} folds: one would leave a class out; use fewer folds"
            )
    return fold


def check_folds(folds: Any) -> None:
    """Refuse a number of folds that holds nothing out.

    Raises:
        ValueError: it is not a whole number from 2 on.
    """
    if not isinstance(folds, int | np.integer) or folds < 2:
        raise ValueError(f"at least two folds are needed to hold examples out, got folds={folds!r}")


def _check_enough(codes: Any, cluster: Any, classes: Sequence[Any], folds: int) -> None:
    check_folds(folds)
    n_clusters = len(np.unique(cluster))
    if n_clusters == 1:
        raise ValueError(
            "all examples belong to one group, so none can be held out: give finer groups, or groups=None"
        )
    found = {label: len(np.unique(cluster[codes == code])) for code, label in enumerate(classes)}
    rare = min(found, key=lambda label: found[label])
    if found[rare] >= folds:
        return
    one, more = (
        ("example", "examples") if n_clusters == len(cluster) else ("group or pair", "groups or pairs")
    )
    unit = one if found[rare] == 1 else more
    few = f"class {rare!r} has {found[rare]} {unit} for {folds} folds"
    numbers = all(isinstance(label, Real) and not isinstance(label, bool) for label in classes)
    if numbers and len(classes) > len(cluster) / 4:
        raise ValueError(f"{few}: {len(classes)} classes look like numbers, for which there is Ridge()")
    if found[rare] < 2:
        raise ValueError(f"{few}: add examples of it in other groups, or leave it out")
    raise ValueError(f"{few}: use folds={found[rare]} or fewer, or add examples")
