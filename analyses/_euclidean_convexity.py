"""Euclidean convexity of classes: how often points between two of a class are put into it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.analyses._graph_convexity import Shares

POINTS = 10
"""Points strictly between two of a class, evenly spread."""

_BLOCK = 1 << 16

Classify = Callable[[Float[Tensor, "row d"]], Int[np.ndarray, " row"]]
"""Gives the number of each row's class, and another number where it is none of them."""


def euclidean_shares(
    x: Float[Tensor, "row d"],
    classes: Int[np.ndarray, " row"],
    classify: Classify,
    pairs: int,
    rng: np.random.Generator,
) -> list[Shares]:
    """Each class's share of points on segments between two of its rows that are put into the class.

    pairs: how many pairs of each class are drawn; all of them where there are no more.
    """
    found = []
    for number in range(int(classes.max()) + 1):
        a, b = _pairs(np.flatnonzero(classes == number), pairs, rng)
        inside = np.concatenate(
            [
                (classify(_between(x, a[begin : begin + rows], b[begin : begin + rows])) == number)
                for rows in (max(1, _BLOCK // POINTS),)
                for begin in range(0, len(a), rows)
            ]
        ).reshape(len(a), POINTS)
        share = inside.mean(1)
        found.append(Shares(float(share.mean()), float((share == 1).mean()), 0.0, 0.0, len(a)))
    return found


def _pairs(
    members: Int[np.ndarray, " member"], wanted: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Unordered pairs of members, each at most once: a segment has no direction."""
    n = len(members)
    count = n * (n - 1) // 2
    numbers = np.arange(count) if count <= wanted else np.sort(rng.choice(count, wanted, replace=False))
    high = np.floor((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > numbers  # the root may be rounded up
    return members[numbers - high * (high - 1) // 2], members[high]


def _between(
    x: Float[Tensor, "row d"], a: Int[np.ndarray, " pair"], b: Int[np.ndarray, " pair"]
) -> Float[Tensor, "point d"]:
    share = (torch.arange(1, POINTS + 1, device=x.device) / (POINTS + 1)).to(x)[None, :, None]
    first, last = (x[torch.from_numpy(rows).to(x.device)][:, None] for rows in (a, b))
    return ((1 - share) * first + share * last).flatten(0, 1)
