"""Some of the texts, as evenly from the classes as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from conceptscope.hooks import Examples
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import numpy_generator


def drawn_evenly(
    examples: Examples, rows: Sequence[int], n: int, generator: int | torch.Generator
) -> list[int]:
    """Up to n of some rows, drawn at random, one class after the other, and then in their order.

    >>> from conceptscope.hooks import Examples
    >>> data = Examples(["a", "b", "c", "d"], ["x", "x", "x", "y"])
    >>> [data.labels[row] for row in drawn_evenly(data, range(4), 2, 0)]
    ['x', 'y']
    """
    rng = numpy_generator(generator)
    by_class: dict[Any, list[int]] = {}
    for row in rng.permutation(list(rows)).tolist():
        by_class.setdefault(None if examples.labels is None else examples.labels[row], []).append(row)
    turns = sorted((turn, row) for drawn in by_class.values() for turn, row in enumerate(drawn))
    return sorted(row for _, row in turns[:n])


def n_words(text: Text) -> int:
    """How many words a text has, or the last message of a chat."""
    return len((text if isinstance(text, str) else text[-1]["content"]).split())
