"""Tokens on backgrounds that show readings, for a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conceptscope.probes._readings import Readings

_TEXTS_SHOWN = 8
_FULL, _OPAQUE = 3.0, 0.7
"""The reading, in standard deviations, at which a colour is full, and how much it covers then."""
_STRONG = 0.5
"""From this reading on a token has its number: all that is seen where styles are stripped, as on GitHub."""
_POSITIVE, _NEGATIVE = "213,94,0", "0,114,178"

_FAINT = "opacity:.75;font-size:85%"


def tokens_html(readings: Readings) -> str:
    """For each text and concept a line of tokens: orange where it reads positive, blue where negative.

    Colours are laid over whatever background the page has, dark or light, and the text keeps its own colour.
    Strong readings are numbers too, and what the model wrote is an insertion.
    """
    wide = max(map(len, readings.names)) + 2
    lines = [f"<div>{escape(repr(readings))}</div><div>{_legend(readings)}</div>"]
    shown = min(readings.n_examples, _TEXTS_SHOWN)
    for example in range(shown):
        rows = (readings.example == example).nonzero().flatten().tolist()
        lines.append('<div style="margin:.6em 0;white-space:pre-wrap;line-height:1.8">')
        for column, name in enumerate(readings.names):
            label = f'<span style="{_FAINT};display:inline-block;min-width:{wide}ch">{escape(name)}:</span> '
            lines.append(f"<div>{label}{_line(readings, rows, column)}</div>")
        lines.append("</div>")
    if shown < readings.n_examples:
        lines.append(f'<div style="{_FAINT}">{readings.n_examples - shown} more texts</div>')
    return f'<div style="font-family:monospace">{"".join(lines)}</div>'


def _line(readings: Readings, rows: list[int], column: int) -> str:
    """The tokens of a text; those that the model wrote come last."""
    given = "".join(_token(readings, row, column) for row in rows if not readings.step[row])
    written = "".join(_token(readings, row, column) for row in rows if readings.step[row])
    return f"{given}<ins>{written}</ins>" if written else given


def _token(readings: Readings, row: int, column: int) -> str:
    value = float(readings.values[row, column])
    wrote = " (written)" if readings.step[row] else ""
    title = escape(f"{readings.names[column]} {value:+.2f}{wrote}")
    text = escape(readings.tokens[row]).replace("\n", "\u23ce\n")
    number = f"<sup>{value:+.1f}</sup>" if abs(value) >= _STRONG else ""
    return f'<span title="{title}" style="background:{_colour(value)}">{text}</span>{number}'


def _colour(value: float) -> str:
    opaque = _OPAQUE * min(abs(value) / _FULL, 1.0)
    return f"rgba({_POSITIVE if value > 0 else _NEGATIVE},{opaque:.2f})"


def _legend(readings: Readings) -> str:
    steps = [step * _FULL / 3 for step in range(-3, 4)]
    spans = [f'<span style="background:{_colour(step)};padding:0 .4em">{step:+.0f}</span>' for step in steps]
    wrote = "; <ins>written by the model</ins>" if bool(readings.step.any()) else ""
    return f"{' '.join(spans)} sd, as numbers from {_STRONG:g} on{wrote}"
