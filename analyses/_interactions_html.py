"""Interactions in a notebook: the sentence, and below it who acts together."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from conceptscope.analyses._effects import Effect

if TYPE_CHECKING:
    from conceptscope.analyses._interactions_result import Interactions
    from conceptscope.analyses._sentence import Sentence

_SHOWN = 12
_RAISES, _LOWERS = "213,94,0", "0,114,178"
_FAINT = "opacity:.6"
_BAR = 12.0


def interactions_html(found: Interactions) -> str:
    """The strongest interactions, each with its bar and its words marked in the sentence.

    Colours are laid over whatever background the page has: orange raises the target, blue lowers it.
    """
    salient = found.salient()
    shown = salient[:_SHOWN]
    greatest = max((abs(one.value) for one in shown), default=1.0)
    rows = "".join(_row(one, greatest, found) for one in shown)
    more = len(salient) - len(shown)
    rest = f'<div style="{_FAINT}">{more} more salient interactions: .to_frame() has them all</div>'
    return (
        f"<div>{_about(found)}</div>"
        '<table style="border-collapse:collapse;margin:.5em 0">'
        f"<tr>{_headings(found)}</tr>{rows}</table>"
        f"{rest if more else ''}"
    )


def how_well(found: Interactions) -> str:
    """How well the effects match the values, as in "they match all masked inputs to 2e-16 of the range"."""
    error = found.matching_error()
    return f"to {error:.0e} of the range" if error else "exactly"


def _about(found: Interactions) -> str:
    gap = f", within {found.found.gap:.1g} of the sparsest" if found.method == "and-or" else ""
    return escape(
        f"{found.target}: {float(found.values[-1]):+.3f} with all players, "
        f"{float(found.values[0]):+.3f} with none ({found.baseline}). "
        f"{len(found.salient())} salient {found.method} interactions{gap}; "
        f"they match all {len(found.values)} masked inputs {how_well(found)}."
    )


def _headings(found: Interactions) -> str:
    names = ("effect", "", "together" if found.sentence is None else "in the sentence")
    return "".join(f'<th style="text-align:left">{name}</th>' for name in names)


def _row(one: Effect, greatest: float, found: Interactions) -> str:
    colour = _RAISES if one.value > 0 else _LOWERS
    width = _BAR * abs(one.value) / greatest
    bar = (
        f'<span style="display:inline-block;height:.8em;width:{width:.2f}em;background:rgb({colour})"></span>'
    )
    noisy = "" if one.is_above_noise else ' <span title="not above what the arithmetic makes">(noise)</span>'
    words = _parts(one, colour) if found.sentence is None else _marked(found.sentence, one.indices, colour)
    binds = "" if one.order < 2 else f' <small style="{_FAINT}">{one.kind}</small>'
    return (
        f'<tr><td style="text-align:right;font-variant-numeric:tabular-nums">{one.value:+.3f}{noisy}</td>'
        f'<td style="text-align:left;min-width:{_BAR}em">{bar}{binds}</td>'
        f'<td style="text-align:left;white-space:pre-wrap">{words}</td></tr>'
    )


def _parts(one: Effect, colour: str) -> str:
    return " ".join(_mark(name, colour) for name in one.players)


def _marked(sentence: Sentence, players: Sequence[int], colour: str) -> str:
    """The sentence with the words that take part marked, and all others faint."""
    taking_part = {token for player in players for token in sentence.spans[player]}
    return "".join(
        _mark(token, colour) if index in taking_part else f'<span style="{_FAINT}">{escape(token)}</span>'
        for index, token in enumerate(sentence.tokens)
    )


def _mark(text: str, colour: str) -> str:
    return f'<b style="background:rgba({colour},.35);border-radius:.2em">{escape(text)}</b>'
