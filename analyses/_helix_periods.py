"""Which periods the activations of numbers have, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    """The periods that predict held-out numbers, least first; the best next one is taken while it helps.

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

    >>> a = torch.arange(60.0)
    >>> wheel = torch.stack([(torch.pi * a / 6).cos(), (torch.pi * a / 6).sin(), a / 30], 1)
    >>> select_periods(Activations({"embed": wheel}, a.int().tolist()))
    (12.0,)
    """
    if not (math.isfinite(gain) and gain > 0):
        raise ValueError(f"gain must be a positive share of variance, got {gain!r}")
    means = NumberMeans.of(activations, numbers, site, pca)
    offered = means.default_periods() if candidates is None else means.checked_periods(candidates)
    held_out = HeldOut.of(means, number_folds(len(means.numbers), folds, numpy_generator(generator)))
    degree = int(linear)
    chosen: list[float] = []
    best = held_out.r2(held_out.errors(Basis.of(means, degree)))
    while True:
        tried = {
            period: held_out.r2(held_out.errors(basis))
            for period in offered
            if period not in chosen
            and _determined(basis := Basis.of(means, degree, [*chosen, period]), held_out)
        }
        if not tried or max(tried.values()) < best + gain:
            return tuple(sorted(chosen))
        chosen.append(max(tried, key=lambda period: tried[period]))
        best = tried[chosen[-1]]


def _determined(basis: Basis, held_out: HeldOut) -> bool:
    return basis.size <= fewest_trained(held_out.fold)
