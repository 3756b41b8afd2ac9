"""Which texts are looked at in every checkpoint, and what each coordinate is the mean of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int

from conceptscope.hooks import Examples
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._prompts import Text


@dataclass(frozen=True, eq=False)
class Known:
    """A concept: its sorted values, the rows of its own examples, and the number of each one's value."""

    name: str
    values: tuple[Any, ...]
    rows: Int[np.ndarray, " own"]
    codes: Int[np.ndarray, " own"]

    @property
    def axes(self) -> dict[str, int]:
        """The coordinates that it has, with the numbers of their values: one for two values."""
        if len(self.values) == 2:
            return {self.name: 1}
        return {f"{self.name}={value}": number for number, value in enumerate(self.values)}


@dataclass(frozen=True, eq=False)
class Plan:
    """All texts, the concepts with their own examples among them, and the rows of each class.

    cluster: rows of one group or pair have the same number.
    """

    examples: Mapping[str, Examples]
    prompts: Mapping[str, Examples]
    texts: tuple[Text, ...]
    cluster: Int[np.ndarray, " row"]
    concepts: tuple[Known, ...]
    classes: Mapping[str, Int[np.ndarray, " row"]]

    @classmethod
    def of(
        cls,
        concepts: Mapping[str, Examples],
        prompts: Mapping[str, Examples | Sequence[Text]] | None,
    ) -> Plan:
        """The plan of labelled examples for each concept, and of prompts for each class.

        Raises:
            TypeError: not mappings of this kind.
            ValueError: no concepts, no classes, or examples without two values.
        """
        own, asked = _checked(concepts), _prompts(prompts)
        parts = [*own.values(), *asked.values()]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        rows = [np.arange(start, end) for start, end in pairwise(starts)]
        known = tuple(_known(name, one, at) for (name, one), at in zip(own.items(), rows, strict=False))
        texts = tuple(text for part in parts for text in part.texts)
        by_label = {
            f"{one.name}={value}": one.rows[one.codes == code]
            for one in known
            for code, value in enumerate(one.values)
        }
        by_name = dict(zip(asked, rows[len(own) :], strict=True))
        return cls(own, asked, texts, _clusters(parts), known, by_name or by_label)

    @property
    def axes(self) -> dict[str, tuple[str, int]]:
        """The coordinates of concept space: the concept and the number of its value."""
        return {axis: (one.name, number) for one in self.concepts for axis, number in one.axes.items()}


def _checked(concepts: Any) -> dict[str, Examples]:
    if not isinstance(concepts, Mapping) or not all(isinstance(one, Examples) for one in concepts.values()):
        raise TypeError(
            "concepts are a mapping from names to labelled Examples: "
            "{'sentiment': load_examples('tinyworld/sentiment')}"
        )
    if not concepts:
        raise ValueError("there are no concepts: give at least one, with its labelled examples")
    return {str(name): one for name, one in concepts.items()}


def _prompts(prompts: Any) -> dict[str, Examples]:
    if prompts is None:
        return {}
    if not isinstance(prompts, Mapping):
        raise TypeError(
            f"prompts= is a mapping from classes to lists of prompts, got {type(prompts).__name__}: "
            "{'small blue': ['...', '...']}"
        )
    if not prompts:
        raise ValueError(
            "prompts= holds no class: leave it out, and the concepts' own values are the classes"
        )
    return {str(name): Examples.of(given) for name, given in prompts.items()}


def _known(name: str, examples: Examples, rows: Int[np.ndarray, " own"]) -> Known:
    if examples.labels is None:
        raise ValueError(f"the examples of {name!r} have no labels: they say what the concept is")
    values = tuple(sorted(set(examples.labels)))
    if len(values) < 2:
        raise ValueError(
            f"all examples of {name!r} are labelled {values[0]!r}: a concept has two values or more"
        )
    number = {value: code for code, value in enumerate(values)}
    return Known(name, values, rows, np.array([number[label] for label in examples.labels]))


def _clusters(parts: Sequence[Examples]) -> Int[np.ndarray, " row"]:
    found: list[int] = []
    for part in parts:
        start = max(found, default=-1) + 1
        found += [start + number for number in clusters(len(part), part.groups, part.pairs)]
    return np.array(found)
