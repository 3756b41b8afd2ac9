"""The coordinates of one checkpoint in concept space, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._trajectory_plan import Known, Plan
from conceptscope.probes._intervals import design_effect
from conceptscope.probes._shares import Share

Shares = Mapping[str, Float[np.ndarray, "row value"]]
"""For each concept what share of each row goes to each of its values; a row's shares sum to one."""

Bounds = tuple[float, float, float]
"""A value and the ends of its 95 % interval."""


@dataclass(frozen=True)
class Measured:
    """Coordinates, by class and axis, and the accuracy of each concept on its own examples."""

    coordinates: dict[str, dict[str, Bounds]]
    accuracy: dict[str, Bounds]

    @classmethod
    def of(cls, plan: Plan, shares: Shares, folds: int | None) -> Measured:
        """The means over rows. folds: of the probes that own examples were held out of, if there were any."""
        coordinates = {
            name: {
                axis: _mean(shares[concept][rows, number], plan.cluster[rows], None)
                for axis, (concept, number) in plan.axes.items()
            }
            for name, rows in plan.classes.items()
        }
        return cls(coordinates, {one.name: _accuracy(plan, one, shares, folds) for one in plan.concepts})


def _accuracy(plan: Plan, concept: Known, shares: Shares, folds: int | None) -> Bounds:
    """The share of right values; where several have the same share, as much of one as they are."""
    own = shares[concept.name][concept.rows]
    best = own == own.max(1, keepdims=True)
    right = best[np.arange(len(own)), concept.codes] / best.sum(1)
    return _mean(right, plan.cluster[concept.rows], folds)


def _mean(values: Float[np.ndarray, " row"], cluster: Int[np.ndarray, " row"], folds: int | None) -> Bounds:
    """A mean of numbers between 0 and 1: Wilson's interval, for as many rows as they are worth."""
    mean, n = float(values.mean()), len(values)
    alone = len(np.unique(cluster)) == 1
    worth = 1.0 if alone else n / design_effect(values, cluster)
    return Share(mean, (values - mean) / n, worth).bounds(cluster, folds)
