"""How far readings spread."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

_ROUNDING = 1e-13
"""Readings that vary less than this share of an activation's norm are rounding."""


def spread(x: Float[Tensor, "example d"], reading: Float[Tensor, "concept d"]) -> Float[Tensor, " concept"]:
    """The standard deviation of each reading over the rows, in float64; zero where it is rounding."""
    wide, along = x.double(), reading.to(x.device).double()
    deviation = (wide @ along.T).std(0)
    return beyond_rounding(deviation, along, wide[0])


def beyond_rounding(
    deviation: Float[Tensor, " concept"], reading: Float[Tensor, "concept d"], row: Float[Tensor, " d"]
) -> Float[Tensor, " concept"]:
    """Standard deviations of readings of rows as long as this one; zero where they are rounding."""
    rounding = _ROUNDING * reading.norm(dim=1) * row.norm()
    return deviation.where(deviation > rounding, 0)
