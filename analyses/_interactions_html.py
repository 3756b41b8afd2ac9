"""Interactions in a notebook: the sentence, and below it who acts together."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from conceptscope.analyses._effects import Effect

if TYPE_CHECKING:
    from conceptscope.analyses._found_effects import FoundEffects
    from conceptscope.analyses._sentence import Sentence

_SHOWN = 12
_RAISES, _LOWERS = "213,94,0", "0,114,178"
_FAINT = "opacity:.75"
_BAR = 12.0


def interactions_html(found: FoundEffects) -> str:
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
        f"<div>{escape(found.about())}</div>"
        '<table style="border-collapse:collapse;margin:.5em 0">'
        f"<tr>{_headings(found)}</tr>{rows}</table>"
        f"{rest if more else ''}"
    )


def _headings(found: FoundEffects) -> str:
    names = ("effect", "", "together" if found.sentence is None else "in the sentence")
    return "".join(f'<th style="text-align:left">{name}</th>' for name in names)


def _row(one: Effect, greatest: float, found: FoundEffects) -> str:
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
        f'<td style="text-align:left;min-width:{_BAR}em;white-space:nowrap">{bar}{binds}</td>'
        f'<td dir="auto" style="text-align:left;white-space:pre-wrap">{words}</td></tr>'
    )


def _parts(one: Effect, colour: str) -> str:
    return " ".join(_mark(name, colour) for name in one.players)


def _marked(sentence: Sentence, players: Sequence[int], colour: str) -> str:
    """The sentence with the words that take part marked, and all others faint."""
    taking_part = {token for player in players for token in sentence.spans[player]}
    return "".join(
        _mark(sentence.tokens[index], colour)
        if index in taking_part
        else f'<span style="{_FAINT}">{escape(sentence.tokens[index])}</span>'
        for index in _of_the_text(sentence)
    )


def _of_the_text(sentence: Sentence) -> range:
    """The tokens without the special ones at both ends, which are of the tokenizer and not of the text."""
    fixed = set(sentence.fixed)
    own = [n for n, token in enumerate(sentence.tokens) if n not in fixed or token in sentence.text]
    return range(own[0], own[-1] + 1) if own else range(0)


def _mark(text: str, colour: str) -> str:
    """The space before a word is no part of it."""
    word = text.lstrip()
    space = text[: len(text) - len(word)]
    return f'{space}<b style="background:rgba({colour},.35);border-radius:.2em">{escape(word)}</b>'
