"""Standard errors of scores from halves of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._row_classes import RowClasses


@dataclass(frozen=True, eq=False)
class Errors:
    """The standard errors of the classes' scores, and that of their mean."""

    classes: Float[np.ndarray, " class"]
    mean: float


def half_sample_errors(
    rows: RowClasses,
    scores: Callable[[Int[np.ndarray, " part"]], Sequence[float]],
    resamples: int,
    rng: np.random.Generator,
) -> Errors:
    """How much the scores of halves of each class scatter; a half's score for a class may be nan.

    The spread of a mean over halves drawn without replacement is the standard error of that over all rows.
    """
    found = np.array([scores(rows.half(rng)) for _ in range(resamples)])
    away = (found - found.mean(0)) * rows.half_stretch
    classes = np.sqrt((away**2).sum(0) / (resamples - 1))
    return Errors(classes, float(away.mean(1).std(ddof=1)))
