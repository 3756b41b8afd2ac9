"""Cosines between the directions of all sites, as a square of cells."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from conceptscope._page._axes import TOP, WIDTH, drawing, figure, mark

_SIDE = 300.0
_LEFT = (WIDTH - _SIDE) / 2
_MOST_LABELS, _MOST_NUMBERS = 12, 6
_BOTTOM = 34.0
_FULL = 0.5
"""How much a cell of cosine 1 is covered: numbers stay readable on it, on light and on dark ground."""


def heat(about: str, names: Sequence[str], labels: Sequence[str], cosines: Sequence[Sequence[float]]) -> str:
    """The figure: the nearer to 1 or -1, the more colour; orange is positive, blue negative."""
    n = len(names)
    cells = [
        mark(
            _cell(row, column, n, cosines[row][column]),
            f"{names[row]} and {names[column]}: cosine {cosines[row][column]:.3f}",
            chosen=row + column == 0,
        )
        for row in range(n)
        for column in range(n)
    ]
    every = -(-n // _MOST_LABELS)
    ticks = "".join(_labels(row, n, escape(labels[row])) for row in range(0, n, every))
    inside = f'<g data-columns="{n}">{"".join(cells)}</g>{ticks}'
    return figure(
        drawing(inside, about, TOP + _SIDE + _BOTTOM), about, f"{names[0]} and {names[0]}: cosine 1.000"
    )


def _cell(row: int, column: int, n: int, cosine: float) -> str:
    side = _SIDE / n
    x, y = _LEFT + column * side, TOP + row * side
    square = (
        f'<rect class="cell {"up" if cosine >= 0 else "down"}" x="{x:.2f}" y="{y:.2f}" width="{side:.2f}" '
        f'height="{side:.2f}" fill-opacity="{_FULL * min(abs(cosine), 1.0):.2f}"/>'
    )
    if n > _MOST_NUMBERS:
        return square
    middle = f'x="{x + side / 2:.1f}" y="{y + side / 2:.1f}" dy=".35em" text-anchor="middle"'
    return f'{square}<text class="inside" {middle}>{cosine:.2f}</text>'


def _labels(row: int, n: int, label: str) -> str:
    """At the left and below."""
    along = (row + 0.5) * _SIDE / n
    left = f'x="{_LEFT - 8:.1f}" y="{TOP + along:.1f}" dy=".35em" text-anchor="end"'
    below = f'x="{_LEFT + along:.1f}" y="{TOP + _SIDE + 22:.1f}" text-anchor="middle"'
    return "".join(f'<text class="tick" {place}>{label}</text>' for place in (left, below))
