"""Lines with intervals, along sites or strengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from conceptscope._page._axes import TOP, Axes, drawing, figure, mark, spread, ticks


@dataclass(frozen=True)
class Line:
    """Numbers from left to right, with the ends of their intervals where they have some.

    look: "own", "second", "control" or "random": colour, dashes and the kind of point. Without values only
    the band between low and high is drawn.
    """

    name: str
    look: str
    values: Sequence[float] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class LineChart:
    """Several lines over the same places; ``readings`` say the numbers at each, ``chosen`` is shown first.

    also: values that the vertical range must include.
    """

    about: str
    at: Sequence[float]
    labels: Sequence[str]
    title: str
    lines: Sequence[Line]
    readings: Sequence[str]
    chosen: int
    also: Sequence[float] = ()

    def html(self) -> str:
        """The figure."""
        axes = self._axes()
        steps = ticks(axes.y_low, axes.y_high)
        inside = (
            axes.across(steps, [f"{step:g}" for step in steps])
            + axes.below(self.at, self.labels, self.title)
            + "".join(_band(axes, self.at, line) + _path(axes, self.at, line) for line in self.lines)
            + "".join(self._mark(axes, index) for index in range(len(self.at)))
        )
        legend = "".join(map(_key, self.lines))
        reading = self.readings[self.chosen]
        return figure(drawing(inside, self.about), self.about, reading, f'<ul class="legend">{legend}</ul>')

    def _axes(self) -> Axes:
        numbers = [
            value for line in self.lines for part in (line.values, line.low, line.high) for value in part
        ]
        room = self._step / 2
        return Axes(self.at[0] - room, self.at[-1] + room, *spread(numbers, also=self.also))

    @property
    def _step(self) -> float:
        """The distance between neighbours, or 1 where there is one place."""
        return min((b - a for a, b in zip(self.at, self.at[1:], strict=False)), default=1.0)

    def _mark(self, axes: Axes, index: int) -> str:
        x, half = axes.x(self.at[index]), (axes.x(self._step) - axes.x(0)) / 2
        column = (
            f'<rect class="column" x="{x - half:.1f}" y="{TOP:g}" width="{2 * half:.1f}" '
            f'height="{axes.floor - TOP:.1f}"/>'
            f'<line class="guide" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP:g}" y2="{axes.floor:.1f}"/>'
        )
        points = "".join(
            _point(x, axes.y(line.values[index]), line.look)
            for line in self.lines
            if line.values and math.isfinite(line.values[index])
        )
        return mark(column + points, self.readings[index], chosen=index == self.chosen)


def _path(axes: Axes, at: Sequence[float], line: Line) -> str:
    points = [
        f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in zip(at, line.values, strict=False) if math.isfinite(y)
    ]
    return f'<polyline class="line {line.look}" points="{" ".join(points)}"/>' if points else ""


def _band(axes: Axes, at: Sequence[float], line: Line) -> str:
    known = [
        (axes.x(x), axes.y(low), axes.y(high))
        for x, low, high in zip(at, line.low, line.high, strict=False)
        if math.isfinite(low) and math.isfinite(high)
    ]
    if not known:
        return ""
    if len(known) == 1:
        [(x, low, high)] = known
        return f'<line class="whisker {line.look}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>'
    there = [f"{x:.1f},{high:.1f}" for x, _, high in known]
    back = [f"{x:.1f},{low:.1f}" for x, low, _ in reversed(known)]
    return f'<polygon class="band {line.look}" points="{" ".join(there + back)}"/>'


def _point(x: float, y: float, look: str) -> str:
    if look == "own":
        return f'<circle class="point own" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    return f'<rect class="point {look}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'


def _key(line: Line) -> str:
    stroke = f'<line class="line {line.look}" x1="0" x2="30" y1="7" y2="7"/>' if line.values else ""
    stroke += _point(15, 7, line.look) if line.values else ""
    band = f'<rect class="band {line.look}" width="30" height="14"/>' if line.low else ""
    key = f'<svg class="key" viewBox="0 0 30 14" aria-hidden="true">{band}{stroke}</svg>'
    return f"<li>{key} {escape(line.name)}</li>"
