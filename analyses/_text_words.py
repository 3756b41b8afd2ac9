"""Where the words of a text lie, in any script; an emoji is a word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_WORDS = re.compile(r"w[wmj]*(?:'w[wmj]*)*|(?:FF|[eF])(?:m|k|je)*")
"""Over one letter for each character of a text: see `_shape`."""

_FIRST_EMOJI = 0x2300
_FLAGS = range(0x1F1E6, 0x1F200)
_SKINS = range(0x1F3FB, 0x1F400)
_JOINERS = "\u200c\u200d"


def word_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """(start, end) of each word between two characters of a text.

    Accents and vowel signs that are characters of their own belong to their word, as hyphens and apostrophes
    inside it do; what is joined into one emoji is one.

    >>> text = "it's 👍🏽, हिन्दी"
    >>> [text[first:last] for first, last in word_spans(text, 0, len(text))]
    ["it's", '👍🏽', 'हिन्दी']
    """
    shape = "".join(map(_shape, text[start:end]))
    return ((start + match.start(), start + match.end()) for match in _WORDS.finditer(shape))


def _shape(character: str) -> str:
    """A letter for what a character is to a word: w(ord), m(ark), j(oiner), e(moji), k (skin), F(lag)."""
    if character.isalnum() or character == "_":
        return "w"
    if character in "'\u2019-":
        return "'"
    if character in _JOINERS:
        return "j"
    if ord(character) in _FLAGS:
        return "F"
    if ord(character) in _SKINS:
        return "k"
    category = unicodedata.category(character)
    if category.startswith("M"):
        return "m"
    return "e" if category == "So" and ord(character) >= _FIRST_EMOJI else " "
