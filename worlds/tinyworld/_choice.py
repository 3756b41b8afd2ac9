"""A choice that the generator makes: values, the words that show them, and their probabilities."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

Value = Any


@dataclass(frozen=True)
class Item:
    """One outcome: its value, the word that shows it (None: what follows does), its index among synonyms."""

    value: Value
    word: str | None
    index: int
    probability: float


@dataclass(frozen=True)
class Choice:
    """All outcomes of one choice; one of probability zero is held out: readable, never sampled."""

    items: tuple[Item, ...]
    cumulative: tuple[float, ...] = field(init=False)
    by_word: dict[str | None, Item] = field(init=False)

    def __post_init__(self) -> None:
        total = math.fsum(item.probability for item in self.items)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the probabilities of a choice sum to {total}, expected 1")
        by_word = {item.word: item for item in self.items}
        if len(by_word) != len(self.items):
            raise ValueError(
                "two outcomes of one choice begin with the same word, so its entropy has no closed form"
            )
        sums = list(accumulate(item.probability for item in self.items))
        last = max(i for i, item in enumerate(self.items) if item.probability > 0)
        sums[last:] = [math.inf] * (len(sums) - last)
        object.__setattr__(self, "cumulative", tuple(sums))
        object.__setattr__(self, "by_word", by_word)

    def draw(self, uniform: float) -> Item:
        """The outcome at `uniform` in [0, 1)."""
        return self.items[bisect_right(self.cumulative, uniform)]

    def find(self, value: Value, index: int) -> Item:
        """The outcome with this value; the synonym `index` where the value has one.

        Raises:
            ValueError: if the value is not an outcome of this choice.
        """
        matches = [item for item in self.items if item.value == value]
        if not matches:
            raise ValueError(
                f"{value!r} is not possible here, only {sorted({str(i.value) for i in self.items})}"
            )
        return next((item for item in matches if item.index == index), matches[0])


def choice(*options: tuple[Value, float, Sequence[str] | None], power: float = 1.0) -> Choice:
    """A choice from (value, probability, words); the k-th synonym has weight k ** -power."""
    items: list[Item] = []
    for value, probability, words in options:
        if words is None:
            items.append(Item(value, None, 0, probability))
            continue
        weights = [(i + 1) ** -power for i in range(len(words))]
        scale = probability / math.fsum(weights)
        items.extend(
            Item(value, word, i, w * scale) for i, (word, w) in enumerate(zip(words, weights, strict=True))
        )
    return Choice(tuple(items))
