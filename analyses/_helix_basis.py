"""What a number is made into before it is fitted linearly: powers, and waves of some periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._helix_numbers import NumberMeans

_ZERO = 1e-9


@dataclass(frozen=True)
class Basis:
    """A constant, the first Legendre polynomials of the number, brought to -1 to 1, and waves.

    degree: of the highest polynomial; 1 is a line. waves: ("cos", 10.0) is cos(2 pi a / 10).
    """

    degree: int
    waves: tuple[tuple[str, float], ...]
    low: int
    high: int

    @classmethod
    def of(cls, means: NumberMeans, degree: int, periods: Sequence[float] = ()) -> Basis:
        """Both waves of each period, without those that vanish on all the numbers, as the sine of 2 does."""
        waves = tuple(
            (kind, period)
            for period in periods
            for kind in ("cos", "sin")
            if np.abs(_wave(kind, period, means.numbers)).max() > _ZERO
        )
        return cls(degree, waves, means.low, means.high)

    @property
    def size(self) -> int:
        """How many coefficients each dimension gets."""
        return 1 + self.degree + len(self.waves)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns: constant, linear, power 2 and so on, cos 10, sin 10."""
        powers = ("constant", "linear", *(f"power {k}" for k in range(2, self.degree + 1)))
        return (*powers[: self.degree + 1], *(f"{kind} {period:g}" for kind, period in self.waves))

    def columns(self, numbers: Int[np.ndarray, " number"]) -> Float[np.ndarray, "number column"]:
        """B(a) for each number a."""
        scaled = (2.0 * numbers - self.low - self.high) / (self.high - self.low)
        powers = np.polynomial.legendre.legvander(scaled, self.degree)
        return np.column_stack([powers, *(_wave(kind, period, numbers) for kind, period in self.waves)])


def _wave(kind: str, period: float, numbers: Int[np.ndarray, " number"]) -> Float[np.ndarray, " number"]:
    turned = 2 * np.pi * numbers / period
    found: Float[np.ndarray, " number"] = np.cos(turned) if kind == "cos" else np.sin(turned)
    return found
