"""Activations brought down to one mean for each number, and these to their principal components."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._rows import as_list
from conceptscope.probes._rows import usable_rows

_LEAST_NUMBERS = 4
_ROUNDING = 1e-12
"""A component with a smaller share of the variance is what float64 makes of nothing."""


@dataclass(frozen=True, eq=False)
class NumberMeans:
    """The mean activation of each number, least number first, in principal components of these means.

    Each number counts once, however many rows it has. rows: how many each has; kept: the share of the means'
    variance that the components have; between: the share of the rows' variance that lies between numbers.
    """

    site: Site
    numbers: Int[np.ndarray, " number"]
    rows: Int[np.ndarray, " number"]
    coordinates: Float[np.ndarray, "number component"]
    directions: Float[np.ndarray, "component d"]
    mean: Float[np.ndarray, " d"]
    kept: float
    between: float
    source: dict[str, Any]

    @classmethod
    def of(cls, activations: Activations, numbers: Any, site: Site | str | None, pca: int) -> NumberMeans:
        """The means at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            TypeError: numbers that are not whole.
            ValueError: fewer than four numbers, a number for each row missing, or activations that are NaN,
                infinite, or the same for every number.
        """
        check_whole("pca", pca, 1)
        where = activations.key(site)
        per_row = _row_numbers(activations, numbers)
        x = usable_rows(activations, where).flatten(1)
        found, code, rows = np.unique(per_row, return_inverse=True, return_counts=True)
        if len(found) < _LEAST_NUMBERS:
            raise ValueError(
                f"a line, a curve or a helix of numbers needs {_LEAST_NUMBERS} numbers or more, "
                f"got {_listed(found)}"
            )
        means = x.new_zeros(len(found), x.shape[1]).index_add_(0, torch.from_numpy(code).to(x.device), x)
        means = (means / torch.from_numpy(rows).to(means)[:, None]).cpu()
        scatter = (x - x.mean(0)).square().sum().item()
        from_middle = (means - x.mean(0).cpu()).square().sum(1).numpy()
        coordinates, directions, middle, kept = _components(means.numpy(), pca, where)
        between = float(rows @ from_middle / scatter)
        about = dict(activations.source)
        return cls(where, found, rows, coordinates, directions, middle, kept, between, about)

    @property
    def low(self) -> int:
        """The least number."""
        return int(self.numbers[0])

    @property
    def high(self) -> int:
        """The greatest number."""
        return int(self.numbers[-1])

    @cached_property
    def step(self) -> int:
        """The greatest whole number that all differences are multiples of."""
        return int(np.gcd.reduce(np.diff(self.numbers)))

    @property
    def span(self) -> int:
        """How far the numbers reach, the last step included: 100 for 0 to 99."""
        return self.high - self.low + self.step

    def default_periods(self) -> tuple[float, ...]:
        """The whole numbers that a period can be told for, in steps of the numbers."""
        return tuple(float(period) for period in range(2 * self.step, self.span + 1, self.step))

    def checked_periods(self, periods: Sequence[float]) -> tuple[float, ...]:
        """The periods, least first.

        Raises:
            TypeError: periods that are not numbers.
            ValueError: one that the numbers are too few or too far apart for, or one that comes twice.
        """
        given = sorted(float(period) for period in periods)
        for period in given:
            if not 2 * self.step <= period <= self.span:
                raise ValueError(
                    f"period {period:g} cannot be told in the numbers {self.low} to {self.high}, which are "
                    f"{self.step} apart: periods from {2 * self.step} to {self.span} can; leave it out"
                )
        twice = [period for period, following in itertools.pairwise(given) if period == following]
        if twice:
            raise ValueError(f"period {twice[0]:g} is given twice: give each period once")
        return tuple(given)


def check_whole(name: str, given: Any, least: int) -> None:
    """Refuse what is no whole number, or too small a one.

    Raises:
        ValueError: it is.
    """
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
        raise ValueError(f"{name} must be a whole number, {least} or more; got {given!r}")


def whole_numbers(values: Any) -> Int[np.ndarray, " row"]:
    """Whole numbers as an array; 7.0 is one.

    Raises:
        TypeError: something that is no whole number.
    """
    listed = as_list(values)
    for value in listed:
        real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not real or value != value or value in (np.inf, -np.inf) or value != int(value):
            raise TypeError(f"numbers must be whole numbers such as 7, got {value!r}")
    return np.array([int(value) for value in listed], dtype=np.int64)


def _row_numbers(activations: Activations, numbers: Any) -> Int[np.ndarray, " row"]:
    given = activations.labels if numbers is None else numbers
    if given is None:
        raise ValueError("the activations have no labels: give numbers=, one for each row")
    per_row = whole_numbers(given)
    if len(per_row) != activations.n_rows:
        raise ValueError(f"{len(per_row)} numbers for {activations.n_rows} rows: each row needs one")
    return per_row


def _components(
    means: Float[np.ndarray, "number d"], pca: int, site: Site
) -> tuple[
    Float[np.ndarray, "number component"], Float[np.ndarray, "component d"], Float[np.ndarray, " d"], float
]:
    """Coordinates, directions, the mean of the means, and the share of variance that is kept."""
    mean = means.mean(0)
    left, lengths, directions = np.linalg.svd(means - mean, full_matrices=False)
    variances = lengths**2
    if lengths[0] <= _ROUNDING * np.abs(means).max():
        raise ValueError(
            f"the activations at {site} are the same for every number: capture at the number's token or later"
        )
    rank = min(pca, int((variances > _ROUNDING * variances[0]).sum()))
    kept = float(variances[:rank].sum() / variances.sum())
    return left[:, :rank] * lengths[:rank], directions[:rank], mean, kept


def _listed(found: Int[np.ndarray, " number"]) -> str:
    return ", ".join(map(str, found.tolist()))
