"""Which periods the activations of numbers have, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_fit import HeldOut
from conceptscope.analyses._helix_folds import fewest_trained, number_folds
from conceptscope.analyses._helix_numbers import NumberMeans
from conceptscope.hooks import Activations, Site
from conceptscope.hooks._random import numpy_generator


def select_periods(
    activations: Activations,
    numbers: Any = None,
    *,
    site: Site | str | None = None,
    candidates: Sequence[float] | None = None,
    linear: bool = True,
    pca: int = 100,
    folds: int = 10,
    gain: float = 0.005,
    generator: int | torch.Generator = 0,
) -> tuple[float, ...]:
    """The periods that predict held-out numbers, least first.

    The best next one is taken while it helps; then each is chosen again beside the others, until the
    prediction gets no better. Long periods are told apart only where there is little noise: 99 from 100.

    numbers: whole, one for each row; by default the labels. Rows of one number are averaged.
    candidates: by default all whole periods that the numbers can tell.
    linear: start from a line, else from the mean.
    gain: the held-out R2 that a period must add.

    The choice is made on the same held-out numbers for all candidates: the R2 of the chosen ones is too
    good. A bent path gives long periods, which `fit_number_helix` holds against a polynomial.

    Raises:
        KeyError: the site was not captured.
        TypeError: numbers that are not whole.
        ValueError: fewer than four numbers, or fewer than folds; candidates that the numbers cannot tell; a
            gain that is not positive; activations that are NaN, infinite, or the same for every number.

    Source: the bases of arXiv 2502.00873; the choice is this project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> a = torch.arange(60.0)
    >>> wheel = torch.stack([(torch.pi * a / 6).cos(), (torch.pi * a / 6).sin(), a / 30], 1)
    >>> cs.select_periods(cs.Activations({"embed": wheel}, a.int().tolist()))
    (12.0,)
    """
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"gain must be a positive share of variance, got {gain!r}")
    means = NumberMeans.of(activations, numbers, site, pca)
    offered = means.default_periods() if candidates is None else means.checked_periods(candidates)
    held_out = HeldOut.of(means, number_folds(len(means.numbers), folds, numpy_generator(generator)))
    return _Search(held_out, offered, int(linear), gain).periods()


@dataclass(frozen=True, eq=False)
class _Search:
    """Periods one after the other, and each again once the others are known."""

    held_out: HeldOut
    offered: tuple[float, ...]
    degree: int
    gain: float

    def periods(self) -> tuple[float, ...]:
        chosen = self.added(())
        while True:
            better = self.added(self.exchanged(chosen))
            if self.r2(better) <= self.r2(chosen):
                return tuple(sorted(chosen))
            chosen = better

    def added(self, chosen: tuple[float, ...]) -> tuple[float, ...]:
        """With the best next one, for as long as it adds enough."""
        while True:
            more = self.best(chosen)
            if self.r2(more) < self.r2(chosen) + self.gain:
                return chosen
            chosen = more

    def exchanged(self, chosen: tuple[float, ...]) -> tuple[float, ...]:
        """Each in turn for the best beside the others: the first were found among waves as yet unknown."""
        for period in chosen:
            chosen = self.best(tuple(other for other in chosen if other != period))
        return chosen

    def best(self, chosen: tuple[float, ...]) -> tuple[float, ...]:
        """With the period that adds most; as they are where there is none left."""
        others = [(*chosen, period) for period in self.offered if period not in chosen]
        return max(others, key=self.r2, default=chosen)

    def r2(self, periods: tuple[float, ...]) -> float:
        """Of held-out numbers; minus infinity where they do not determine so many coefficients."""
        basis = Basis.of(self.held_out.means, self.degree, sorted(periods))
        if basis.size > fewest_trained(self.held_out.fold):
            return -math.inf
        return self.held_out.r2(self.held_out.errors(basis))
