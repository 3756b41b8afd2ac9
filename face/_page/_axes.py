"""Where things stand in a picture, and the axes round them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 16.0, 14.0, 58.0
MOST_LABELS = 9


@dataclass(frozen=True)
class Axes:
    """The ranges of the data, and the height of the picture, in the units of its own coordinates."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    height: float = HEIGHT
    left: float = LEFT

    @property
    def floor(self) -> float:
        """Where the lower axis lies."""
        return self.height - BOTTOM

    def x(self, value: float) -> float:
        """From left to right."""
        share = (value - self.x_low) / (self.x_high - self.x_low)
        return self.left + share * (WIDTH - self.left - RIGHT)

    def y(self, value: float) -> float:
        """From the lower axis up."""
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return self.floor - share * (self.floor - TOP)

    def across(self, values: Sequence[float], labels: Sequence[str]) -> str:
        """Horizontal lines with labels at the left."""
        return "".join(
            f'<line class="grid" x1="{self.left:g}" x2="{WIDTH - RIGHT:g}" y1="{self.y(at):.1f}" '
            f'y2="{self.y(at):.1f}"/><text class="tick" x="{self.left - 8:g}" y="{self.y(at):.1f}" '
            f'dy=".35em" text-anchor="end">{escape(label)}</text>'
            for at, label in zip(values, labels, strict=True)
        )

    def below(self, values: Sequence[float], labels: Sequence[str], title: str) -> str:
        """Labels under the lower axis, as many as there is room for, and what they are of."""
        every = math.ceil(len(values) / MOST_LABELS)
        shown = "".join(
            f'<text class="tick" x="{self.x(at):.1f}" y="{self.floor + 22:.1f}" '
            f'text-anchor="middle">{escape(label)}</text>'
            for at, label in list(zip(values, labels, strict=True))[::every]
        )
        middle = (self.left + WIDTH - RIGHT) / 2
        return (
            f'{shown}<text class="tick" x="{middle:.1f}" y="{self.height - 8:.1f}" '
            f'text-anchor="middle">{escape(title)}</text>'
        )


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from low to high, about as many as wanted.

    >>> ticks(0.38, 1.02)
    [0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def spread(values: Sequence[float], *, also: Sequence[float] = ()) -> tuple[float, float]:
    """The range of the numbers that are finite, with a little room round it."""
    known = [value for value in (*values, *also) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 0.5
    return low - room, high + room


def drawing(inside: str, about: str, height: float = HEIGHT) -> str:
    """An SVG as wide as its place; its marks can be pointed at, and reached by arrow keys."""
    return f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="group" aria-label="{escape(about)}">{inside}</svg>'


def mark(inside: str, reading: str, *, chosen: bool = False, kind: str = "") -> str:
    """A part of a picture that says its numbers when it is pointed at or has the focus."""
    names = f"mark {kind}".strip() + (" on" if chosen else "")
    return (
        f'<g class="{names}" tabindex="{0 if chosen else -1}" role="img" aria-label="{escape(reading)}">'
        f"{inside}</g>"
    )


def figure(picture: str, caption: str, reading: str, legend: str = "") -> str:
    """A picture with what it shows, its legend, and the line where its numbers are read."""
    return (
        f'<figure class="picture"><figcaption>{escape(caption)}</figcaption>{legend}{picture}'
        f'<p class="reading" aria-live="polite">{escape(reading)}</p></figure>'
    )
