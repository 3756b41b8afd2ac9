"""How the page says things: sections, numbers, sites, texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from unicodedata import bidirectional

from conceptscope._report_result import Report
from conceptscope.hooks import Site
from conceptscope.hooks._prompts import Text

_FROM_THE_RIGHT = {"R", "AL", "RLE", "RLO", "RLI"}


def section(name: str, title: str, *parts: str, caution: str = "") -> str:
    """A part of the page, which ends with what may not be concluded from it."""
    warning = f'<p class="caution"><b>What may not be concluded.</b> {escape(caution)}</p>' if caution else ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{"".join(parts)}{warning}</section>'


def paragraph(said: str) -> str:
    """Sentences."""
    return f"<p>{escape(said)}</p>"


def without(why: str) -> str:
    """That a part was left out, and why."""
    return f'<p class="without"><b>Left out:</b> {escape(why)}.</p>'


def numbers(title: str, table: str) -> str:
    """A table that is opened when it is wanted; it scrolls by itself where it is wider than the page."""
    return (
        f"<details><summary>{escape(title)}</summary>"
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(title)}">{table}</div></details>'
    )


def between(value: float, low: float, high: float) -> str:
    """A number and its interval.

    >>> between(0.934, 0.88, 1.0)
    '0.93 [0.88, 1.00]'
    """
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def small(p: float) -> str:
    """A p-value as it is read.

    >>> small(0.00498), small(0.21)
    ('p = 0.005', 'p = 0.210')
    """
    return "p not measured" if math.isnan(p) else f"p = {p:.3f}"


def shown(text: Text) -> str:
    """A text as a reader sees it: of a chat, who says what."""
    if isinstance(text, str):
        return text
    return "\n".join(f"{message['role']}: {message['content']}" for message in text)


def apart_from(text: str) -> str:
    """A user's words, which do not turn the sentence round them where they are read from the right.

    >>> apart_from("glad") == "glad", apart_from("\u05d8\u05d5\u05d1")[0] == "\u2068"
    (True, True)
    """
    turns = any(bidirectional(letter) in _FROM_THE_RIGHT for letter in text)
    return f"\u2068{text}\u2069" if turns else text


def towards(made: Report) -> str:
    """Where greater readings lead."""
    return apart_from(str(made.concept.classes[-1])) if made.concept.classes else "greater numbers"


def site_labels(sites: Sequence[Site]) -> tuple[list[str], str]:
    """Short labels for sites along an axis, and what they are of: layers, where they are of one kind."""
    kinds = {site.kind for site in sites}
    if len(kinds) == 1 and all(site.layer is not None and site.head is None for site in sites):
        return [str(site.layer) for site in sites], f"layer ({sites[0].kind})"
    return [str(site) for site in sites], "site"
