"""What a probe finds where there is nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

_TRIES = 100


def shuffled_codes(
    codes: Int[np.ndarray, " example"],
    cluster: Int[np.ndarray, " example"],
    fold: Int[np.ndarray, " example"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " example"]:
    """Class numbers permuted so that what ties rows together stays.

    If each cluster has one class, clusters exchange classes; if each has several (a pair), its rows do;
    otherwise all rows do. Every training fold keeps all classes.

    Raises:
        ValueError: no such permutation was found.
    """
    for _ in range(_TRIES):
        shuffled = _permuted(codes, cluster, rng)
        if all(len(set(shuffled[fold != held])) == len(set(codes)) for held in set(fold.tolist())):
            return shuffled
    raise ValueError(
        "the labels cannot be shuffled between so few groups: add groups, use fewer folds, or controls=False"
    )


def _permuted(
    codes: Int[np.ndarray, " example"], cluster: Int[np.ndarray, " example"], rng: np.random.Generator
) -> Int[np.ndarray, " example"]:
    _, first, number = np.unique(cluster, return_index=True, return_inverse=True)
    kinds = np.bincount(np.unique(np.stack([number, codes]), axis=1)[0])
    if (kinds == 1).all():
        return rng.permutation(codes[first])[number]
    if (kinds == 1).any():
        return rng.permutation(codes)
    shuffled = np.empty_like(codes)
    shuffled[np.argsort(number, kind="stable")] = codes[np.lexsort((rng.random(len(codes)), number))]
    return shuffled


def control_task_codes(
    codes: Int[np.ndarray, " example"],
    types: Sequence[Any],
    fold: Int[np.ndarray, " example"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " example"]:
    """A class number for each type, drawn as often as the classes are, the same for all rows of the type.

    Raises:
        ValueError: another number of types than rows, types none of which recurs in another fold, or so few
            that a training fold would lack a class.

    Source: Hewitt and Liang, arXiv 1909.03368, section 2.
    """
    if len(types) != len(codes):
        raise ValueError(f"{len(types)} types for {len(codes)} rows: each row needs one")
    known: dict[Any, int] = {}
    number = np.array([known.setdefault(one, len(known)) for one in types])
    if len(np.unique(np.stack([number, fold]), axis=1).T) == len(known):
        raise ValueError(
            "no type recurs in another fold, so the control task cannot be learned: give finer groups, or "
            "types that different groups share"
        )
    for _ in range(_TRIES):
        task: Int[np.ndarray, " example"] = rng.choice(codes, len(known))[number]
        if all(len(set(task[fold != held])) == len(set(codes)) for held in set(fold.tolist())):
            return task
    raise ValueError(f"{len(known)} types are too few for a control task: leave types out")
