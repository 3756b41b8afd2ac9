"""Hiding a concept in texts, so that they say less than they mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import torch

from conceptscope.hooks import Examples
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._random import numpy_generator


def mask_concept(
    examples: Examples,
    concept: str | Sequence[str] | re.Pattern[str],
    share: float,
    *,
    mask: str = "",
    generator: int | torch.Generator = 0,
) -> Examples:
    """The examples with a concept's words hidden in a share of them, for training on underspecified texts.

    concept: its words, or a pattern of them; words are whole ones, in upper or lower case.
    share: of the texts that have such words. Texts of one group or pair are hidden together, in random
        order until the share is reached; with the same generator, a greater share hides what a smaller does.
    mask: what stands in place of each word; by default nothing, and one of its spaces goes as well.

    Labels, groups, pairs and contexts stay as they are.

    Raises:
        TypeError: chats in place of texts.
        ValueError: a share out of range, no words, no text that has any, a text of nothing else, or examples
            with spans, which would no longer fit.

    Source: Park et al., arXiv 2406.19370, section 5 (masking hides a concept in the conditioning).

    >>> import conceptscope as cs
    >>> data = cs.Examples(["a small red dog", "a red car", "a blue car"])
    >>> cs.mask_concept(data, ["red", "blue"], 1.0).texts
    ['a small dog', 'a car', 'a car']
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is between 0 and 1, got {share}")
    if examples.spans is not None:
        raise ValueError(
            "the examples have spans, which would not fit masked texts: mask before setting them"
        )
    texts = [_text(row, text) for row, text in enumerate(examples.texts)]
    words = _pattern(concept)
    having = [row for row, text in enumerate(texts) if words.search(text)]
    if not having:
        raise ValueError(
            f"no text has any of {words.pattern!r}: give the concept's words as they stand there"
        )
    for row in _chosen(examples, having, share, generator):
        texts[row] = _hidden(texts[row], words, mask)
    return replace(examples, texts=texts)


def _chosen(
    examples: Examples, having: Sequence[int], share: float, generator: int | torch.Generator
) -> list[int]:
    """Whole clusters of the texts that have the concept, in random order until there are enough."""
    cluster = clusters(len(examples), examples.groups, examples.pairs)
    members: dict[int, list[int]] = {}
    for row in having:
        members.setdefault(cluster[row], []).append(row)
    order = numpy_generator(generator).permutation(sorted(members))
    chosen: list[int] = []
    for number in order:
        if len(chosen) >= round(share * len(having)):
            break
        chosen += members[int(number)]
    return chosen


def _hidden(text: str, words: re.Pattern[str], mask: str) -> str:
    if mask:
        return words.sub(lambda found: mask, text)
    spaced = re.compile(rf"(?:{words.pattern}) | (?:{words.pattern})|(?:{words.pattern})", words.flags)
    hidden = spaced.sub("", text)
    if not hidden.strip():
        raise ValueError(f"{text!r} is nothing but the concept's words: give a mask=, such as '...'")
    return hidden


def _pattern(concept: str | Sequence[str] | re.Pattern[str]) -> re.Pattern[str]:
    if isinstance(concept, re.Pattern):
        return concept
    words = [concept] if isinstance(concept, str) else list(concept)
    if not all(words) or not words:
        raise ValueError("there are no words to hide: give the concept's words, or a pattern")
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def _text(row: int, text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"example {row} is a chat: mask texts, or the contents of its messages one by one")
    return text
