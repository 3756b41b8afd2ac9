"""What may be claimed of the shape of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conceptscope.analyses._helix_result import NumberHelix

GAIN = 0.005
"""The held-out R2 that a period must add."""
_BENT = 0.05
"""The held-out R2 by which a polynomial beats a line where the path is a curve."""
_ROUND = 0.5
_READ = 0.5
_CHANCE = 0.05


@dataclass(frozen=True)
class Clock:
    """One period. turns: how often it comes in the numbers; circularity: s2/s1 of its two waves.

    gain: the held-out R2 that it adds to the polynomial with the other periods, se its standard error; NaN
    where it comes less than twice, or where numbers are too few. r2_gain: the R2 that it adds to a line;
    null: what 95 % of paths that wander from a line give.
    """

    period: float
    turns: float
    circularity: float
    gain: float
    se: float
    r2_gain: float
    null: float

    @property
    def holds(self) -> bool:
        """Whether it is more than a polynomial, its own error and a wandering path account for."""
        return self.gain >= GAIN and self.gain > 2 * self.se and self.r2_gain > self.null

    @property
    def round(self) -> bool:
        """Whether the numbers go round, rather than to and fro."""
        return self.circularity > _ROUND


@dataclass(frozen=True)
class Shape:
    """name: nothing, line, curve, wave, circle, helix, or curve with a clock."""

    name: str
    sentence: str


def shape_of(found: NumberHelix) -> Shape:
    """The shape, and the sentence that says it."""
    line, curve, helix, free = (found[name].cv_r2 for name in ("line", "polynomial", "helix", "pca"))
    held = [clock for clock in found.clocks if clock.holds]
    if found.p > _CHANCE or max(line, curve, helix) <= 0:
        said = "Nothing: no line, curve or helix predicts held-out numbers better than chance"
        return Shape("nothing", f"{said} (p = {found.p:.2g}).{_read(found)}")
    if held:
        return _with_clocks(found, held)
    size = found["polynomial"].n_coefficients - 1
    name = "line" if curve - line < _BENT else "curve"
    said = (
        f"A {name} and no {_clock(found)}: a line predicts {line:.2f} of the variance of held-out numbers, a "
        f"polynomial of degree {size} {curve:.2f}, a helix {helix:.2f}, {size} free dimensions {free:.2f}."
    )
    return Shape(name, said + _read(found))


def _read(found: NumberHelix) -> str:
    if found.readout < _READ:
        return ""
    return f" The number can be read off linearly (held-out R2 {found.readout:.2f})."


def _clock(found: NumberHelix) -> str:
    """The clock that there could have been."""
    tested = [f"{clock.period:g}" for clock in found.clocks if not math.isnan(clock.gain)]
    return f"clock of period {_listed(tested, 'or')}" if tested else "clock, for which no period was tested"


def _with_clocks(found: NumberHelix, held: list[Clock]) -> Shape:
    curve, helix = found["polynomial"].cv_r2, found["helix"].cv_r2
    name, said = _named(found, held)
    flat = [clock for clock in held if not clock.round and clock.period > 2]
    once = [clock for clock in found.clocks if math.isnan(clock.gain)]
    also = [f" Of {_periods(flat)} there is a flat wave, not a circle."] if flat else []
    also += [f" A circle of {_periods(once)} cannot be told from a curve."] if once else []
    sentence = (
        f"{said} of {_periods(held)}: the helix predicts {helix:.2f} of the variance of held-out numbers, "
        f"a polynomial of as many coefficients {curve:.2f}."
    )
    return Shape(name, sentence + "".join(also) + _read(found))


def _named(found: NumberHelix, held: list[Clock]) -> tuple[str, str]:
    if found.beyond > found["helix"].cv_r2 + _BENT:
        return "curve with a clock", "A curve with a clock"
    if not any(clock.round for clock in held):
        return "wave", "A wave"
    if not found.linear or found["helix"].cv_r2 - found["circles"].cv_r2 < GAIN:
        return "circle", "A circle"
    return "helix", "A helix"


def _periods(clocks: list[Clock]) -> str:
    return ("period " if len(clocks) == 1 else "periods ") + _listed(
        [f"{clock.period:g}" for clock in clocks]
    )


def _listed(names: list[str], link: str = "and") -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {link} {names[-1]}"
