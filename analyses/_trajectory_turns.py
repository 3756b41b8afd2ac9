"""Paths through concept space: smoothed, and where they turn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Turn:
    """Where a class's path turns: the step, by how many degrees, and the coordinates there."""

    label: str
    step: int
    angle: float
    coordinates: tuple[float, ...]


def smoothed(
    values: Float[np.ndarray, "checkpoint ..."], sigma: float
) -> Float[np.ndarray, "checkpoint ..."]:
    """Means over neighbouring checkpoints with Gaussian weights, which sum to one at the ends, too.

    sigma: in checkpoints; 0 leaves everything as it is.

    Raises:
        ValueError: a negative sigma, or fewer checkpoints than one sigma to either side.
    """
    if not math.isfinite(sigma) or sigma < 0:
        raise ValueError(f"smooth= is a number of checkpoints, 0 or more, got {sigma}")
    n, needed = len(values), 2 * math.ceil(sigma) + 1
    if n < needed:
        raise ValueError(
            f"smoothing over {sigma:g} checkpoints to either side needs {needed} of them, and there are {n}: "
            "give more checkpoints, or a smaller smooth="
        )
    if sigma == 0:
        return values
    apart = np.subtract.outer(np.arange(n), np.arange(n))
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    found: Float[np.ndarray, "checkpoint ..."] = np.tensordot(
        weights / weights.sum(1, keepdims=True), values, 1
    )
    return found


def turns(
    path: Float[np.ndarray, "checkpoint concept"], *, first: int, angle: float, least: float
) -> list[tuple[int, float]]:
    """The checkpoints at which a path turns by at least so many degrees, with the degrees.

    The path is looked at in moves of at least `least`, each from a checkpoint to the first one so far away:
    a path that rests has a direction of noise only.

    first: the first checkpoint at which a turn counts.
    """
    stops = [0]
    for at in range(1, len(path)):
        if np.linalg.norm(path[at] - path[stops[-1]]) >= least:
            stops.append(at)
    moves = np.diff(path[stops], axis=0)
    found = [
        (at, _degrees(before, after))
        for at, before, after in zip(stops[1:-1], moves, moves[1:], strict=False)
    ]
    return [(at, degrees) for at, degrees in found if at >= first and degrees >= angle]


def _degrees(a: Float[np.ndarray, " concept"], b: Float[np.ndarray, " concept"]) -> float:
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
