"""Every text as a point at its reading, one row a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conceptscope._page._axes import BOTTOM, TOP, Axes, drawing, figure, mark, spread, ticks

ROW = 46.0
_LEFT = 130.0
_LANES = 7
_LABEL = 14
_LEGEND = (
    '<ul class="legend"><li><svg class="key missed" viewBox="0 0 30 14" aria-hidden="true">'
    '<circle class="dot" cx="15" cy="7" r="5"/></svg> taken for another class</li></ul>'
)


@dataclass(frozen=True)
class Point:
    """A reading, the row of its class, whether it was taken for that class, and what it is of."""

    value: float
    row: int
    right: bool
    text: str


def strip(about: str, classes: Sequence[str], points: Sequence[Point], reading: str) -> str:
    """The figure; points of a class are laid in lanes so that they do not hide one another."""
    height = TOP + ROW * len(classes) + BOTTOM
    low, high = spread([point.value for point in points], also=(0.0,))
    axes = Axes(low, high, len(classes) - 0.5, -0.5, height, _LEFT)
    steps = ticks(low, high, 6)
    names = [name if len(name) <= _LABEL else f"{name[: _LABEL - 1]}\u2026" for name in classes]
    zero = (
        f'<line class="zero" x1="{axes.x(0):.1f}" x2="{axes.x(0):.1f}" y1="{TOP:g}" y2="{axes.floor:.1f}"/>'
    )
    inside = (
        axes.across(range(len(classes)), names)
        + axes.below(
            steps, [f"{step:g}" for step in steps], "reading, in standard deviations; 0 is the boundary"
        )
        + zero
        + "".join(_mark(axes, number, point) for number, point in enumerate(points))
    )
    legend = "" if all(point.right for point in points) else _LEGEND
    return figure(drawing(inside, about, height), about, reading, legend)


def _mark(axes: Axes, number: int, point: Point) -> str:
    lane = (number * 3 % _LANES - _LANES // 2) * 0.1
    x, y = axes.x(point.value), axes.y(point.row + lane)
    dot = f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    return mark(dot, point.text, chosen=number == 0, kind="right" if point.right else "wrong")
