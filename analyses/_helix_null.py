"""What waves explain beyond a line, beside what they explain of a wandering path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_folds import orthonormal
from conceptscope.analyses._helix_numbers import NumberMeans

_MEMORY_AT_MOST = 0.99
_DRAWS_AT_ONCE = 50
_SHARE = 0.95


@dataclass(frozen=True, eq=False)
class WaveGains:
    """The R2 that the waves of each period add to a line, and add to lines with two kinds of noise.

    Of what the two kinds say, the more cautious is taken.
    """

    periods: tuple[float, ...]
    observed: Float[np.ndarray, " period"]
    null: Float[np.ndarray, "kind draw period"]

    @property
    def quantile(self) -> Float[np.ndarray, " period"]:
        """What 95 % of the noise stays below, period by period."""
        found: Float[np.ndarray, " period"] = np.quantile(self.null, _SHARE, axis=1).max(0)
        return found

    @property
    def highest(self) -> float:
        """What the best period of 95 % of the noise stays below."""
        return float(np.quantile(self.null.max(2), _SHARE, axis=1).max())

    @property
    def p(self) -> float:
        """The share of noise (and one more) whose best period gains as much as the best one here."""
        as_good = (self.null.max(2) >= self.observed.max()).sum(1).max()
        return float((1 + as_good) / (1 + self.null.shape[1]))


def wave_gains(
    means: NumberMeans, periods: Sequence[float], draws: int, rng: np.random.Generator
) -> WaveGains:
    """The gains over a line, and over `draws` paths made of it and first-order autoregressive noise.

    The noise is like what the line leaves, with its steps in another order; one kind has a memory for each
    component, the other, which does not depend on the axes, one for all. Each alone calls too much a wave:
    the first where many components wander alike, the second where some wander and others do not. Successive
    numbers are taken as neighbours, however far apart they are.
    """
    line = orthonormal(Basis.of(means, 1).columns(means.numbers))
    y = means.coordinates
    left = y - line @ (line.T @ y)
    waves = _beyond(line, means, periods)
    share_left = np.square(left).sum() / np.square(y).sum()
    kinds = [
        np.concatenate([_shares(noise, line, waves) for noise in _paths(left, memory, draws, rng)])
        for memory in _memories(left)
    ]
    observed = _shares(left[None], line, waves)[0]
    return WaveGains(tuple(periods), share_left * observed, share_left * np.stack(kinds))


def _beyond(
    line: Float[np.ndarray, "number two"], means: NumberMeans, periods: Sequence[float]
) -> list[Float[np.ndarray, "number wave"]]:
    """Orthonormal waves of each period without their part along the line."""
    found = []
    for period in periods:
        waves = Basis.of(means, 0, [period]).columns(means.numbers)[:, 1:]
        found.append(orthonormal(np.column_stack([line, waves]))[:, line.shape[1] :])
    return found


def _shares(
    paths: Float[np.ndarray, "draw number component"],
    line: Float[np.ndarray, "number two"],
    waves: Sequence[Float[np.ndarray, "number wave"]],
) -> Float[np.ndarray, "draw period"]:
    """The share of what the line leaves of the squares that each period's waves explain."""
    left = paths - line @ (line.T @ paths)
    along = np.square(np.concatenate(waves, 1).T @ left).sum(2)
    firsts = np.cumsum([0, *(own.shape[1] for own in waves[:-1])])
    found: Float[np.ndarray, "draw period"] = np.add.reduceat(along, firsts, axis=1)
    found /= np.square(left).sum((1, 2))[:, None]
    return found


def _paths(
    left: Float[np.ndarray, "number component"],
    memory: Float[np.ndarray, " component"],
    draws: int,
    rng: np.random.Generator,
) -> Iterator[Float[np.ndarray, "draw number component"]]:
    """Autoregressive paths like the one given, some at a time."""
    n = len(left)
    steps = left[1:] - memory * left[:-1]
    steps = steps - steps.mean(0)
    for first in range(0, draws, _DRAWS_AT_ONCE):
        some = min(_DRAWS_AT_ONCE, draws - first)
        path = np.empty((some, *left.shape))
        path[:, 0] = left[rng.integers(0, n, some)]
        path[:, 1:] = steps[rng.permuted(np.tile(np.arange(n - 1), (some, 1)), axis=1)]
        for t in range(1, n):
            path[:, t] += memory * path[:, t - 1]
        yield path


def _memories(left: Float[np.ndarray, "number component"]) -> Float[np.ndarray, "kind component"]:
    """The correlation with the next number: of each component, and of all together.

    Where a line was taken away the estimate is too low by about (2 + 4 rho) / n, which is undone. None is
    below 0: what goes to and fro from number to number is no wandering, but a wave of period 2.
    """
    n = len(left)
    products, squares = (left[1:] * left[:-1]).sum(0), np.square(left[:-1]).sum(0)
    lagged = np.stack([products / squares, np.full_like(squares, products.sum() / squares.sum())])
    corrected = (n * lagged + 2) / (n - 4) if n > 8 else lagged
    found: Float[np.ndarray, "kind component"] = np.clip(corrected, 0, _MEMORY_AT_MOST)
    return found
