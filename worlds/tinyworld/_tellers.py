"""Tellers of the grammar: one samples a text, one reads a given text, one writes it again with a change."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from conceptscope.worlds.tinyworld._choice import Choice, Item, Value
from conceptscope.worlds.tinyworld._teller import END


@dataclass(frozen=True)
class Mark:
    """The word at `position` is determined by `factor`: one of `right` rather than one of `wrong`."""

    position: int
    factor: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


class _Writer:
    """Writes words down, and takes no note of what determines them."""

    marks = False

    def __init__(self) -> None:
        self.words: list[str] = []

    def say(self, word: str) -> None:
        self.words.append(word)

    def expect(self, factor: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
        pass


class Sampler(_Writer):
    """Draws a text."""

    def __init__(self, generator: random.Random) -> None:
        super().__init__()
        self.uniform = generator.random

    def choose(self, slot: str, options: Choice) -> Value:
        item = options.draw(self.uniform())
        if item.word is not None:
            self.words.append(item.word)
        return item.value


@dataclass
class Reader:
    """Reads a text: its choices, the exact log-probability of each word, and what determines which word."""

    text: Sequence[str]
    words: list[str] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    chosen: dict[str, Item] = field(default_factory=dict)
    expected: list[Mark] = field(default_factory=list)
    marks: bool = True
    _pending: float = 0.0

    def choose(self, slot: str, options: Choice) -> Value:
        word = self._next()
        item = options.by_word.get(word) or options.by_word.get(None)
        if item is None:
            raise ValueError(f"word {len(self.words)} is {word!r}, expected one of {_some(options)}")
        self.chosen[slot] = item
        self._pending += math.log(item.probability) if item.probability else -math.inf
        if item.word is not None:
            self._emit(item.word)
        return item.value

    def say(self, word: str) -> None:
        if self._next() != word:
            raise ValueError(f"word {len(self.words)} is {self._next()!r}, expected {word!r}")
        self._emit(word)

    def expect(self, factor: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
        self.expected.append(Mark(len(self.words), factor, right, wrong))

    def _next(self) -> str:
        return self.text[len(self.words)] if len(self.words) < len(self.text) else END

    def _emit(self, word: str) -> None:
        self.words.append(word)
        self.logps.append(self._pending)
        self._pending = 0.0


def _some(options: Choice, most: int = 6) -> str:
    shown = [str(item.word) for item in options.items if item.word is not None]
    return ", ".join(shown[:most]) + (", ..." if len(shown) > most else "")


class Rewriter(_Writer):
    """Writes a text again from its choices, some of them changed; what they determine changes with them."""

    def __init__(self, chosen: Mapping[str, Item], changes: Mapping[str, Callable[[Value], Value]]) -> None:
        super().__init__()
        self.chosen = chosen
        self.changes = changes

    def choose(self, slot: str, options: Choice) -> Value:
        if slot not in self.chosen:
            raise ValueError(f"the text has no {slot!r} to keep")
        kept = self.chosen[slot]
        change = self.changes.get(slot)
        item = options.find(change(kept.value) if change else kept.value, kept.index)
        if item.word is not None:
            self.words.append(item.word)
        return item.value
