"""Texts that numbers stand in, to read the numbers' activations."""

from __future__ import annotations

from collections.abc import Sequence

from conceptscope.hooks import Examples


def number_examples(texts: Sequence[str], numbers: Sequence[int]) -> Examples:
    """Each number in each text, in the place of {}; it is the label, and its last digit the span.

    Read at position="span", that is the number's last token.

    Raises:
        ValueError: no texts or numbers, or a text in which {} is not once.

    >>> import conceptscope as cs
    >>> cs.number_examples(["{} plus", "after {} comes"], [7, 12]).texts
    ['7 plus', '12 plus', 'after 7 comes', 'after 12 comes']
    """
    if not texts or not numbers:
        raise ValueError("number texts need a text with {} and a number at least")
    for text in texts:
        if text.count("{}") != 1:
            raise ValueError(f"each text needs {{}} once, where the number goes, got {text!r}")
    pairs = [(text, number) for text in texts for number in numbers]
    return Examples(
        [text.replace("{}", str(number)) for text, number in pairs],
        [number for _, number in pairs],
        spans=[last_digit(text, number, "{}") for text, number in pairs],
    )


def last_digit(text: str, number: int, place: str) -> tuple[int, int]:
    """Where the number's last digit is when it stands in its place."""
    end = text.index(place) + len(str(number))
    return end - 1, end
