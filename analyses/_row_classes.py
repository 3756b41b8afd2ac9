"""The classes of rows, and how labels are shuffled and rows halved where some rows belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from conceptscope.hooks import Activations
from conceptscope.hooks._clusters import clusters
from conceptscope.probes._labelled import label_codes


@dataclass(frozen=True, eq=False)
class RowClasses:
    """The class of each row, a number from 0 on, what these are called, and which rows are of one group."""

    codes: Int[np.ndarray, " row"]
    labels: tuple[Any, ...]
    group: Int[np.ndarray, " row"]

    @classmethod
    def of(cls, activations: Activations) -> RowClasses:
        """Those of some activations; a row without a group is one of its own.

        Raises:
            ValueError: no labels, or one class only.
        """
        codes, labels = label_codes(activations)
        groups: Sequence[Hashable] | None = activations.groups
        return cls(codes.cpu().numpy(), labels, np.array(clusters(len(codes), groups)))

    @property
    def n(self) -> int:
        """How many classes there are."""
        return len(self.labels)

    @cached_property
    def own_groups(self) -> list[Int[np.ndarray, " group"]]:
        """The groups that have rows of each class."""
        return [np.unique(self.group[self.codes == number]) for number in range(self.n)]

    @cached_property
    def pure(self) -> bool:
        """Whether every group is of one class."""
        return sum(len(own) for own in self.own_groups) == int(self.group.max()) + 1

    def shuffled(self, rng: np.random.Generator) -> Int[np.ndarray, " row"]:
        """The classes permuted among whole groups; or within each, where groups have several classes."""
        if self.pure:
            of_group = np.empty(int(self.group.max()) + 1, self.codes.dtype)
            of_group[self.group] = self.codes
            permuted: Int[np.ndarray, " row"] = rng.permutation(of_group)[self.group]
            return permuted
        by_group = np.argsort(self.group, kind="stable")
        at_random = np.lexsort((rng.random(len(self.group)), self.group))
        shuffled = np.empty_like(self.codes)
        shuffled[by_group] = self.codes[at_random]
        return shuffled

    def half(self, rng: np.random.Generator) -> Int[np.ndarray, " part"]:
        """The rows of half the groups of each class; of half of all, where groups have several classes."""
        strata = self.own_groups if self.pure else [np.unique(self.group)]
        kept = np.concatenate([rng.choice(own, len(own) // 2, replace=False) for own in strata])
        return np.flatnonzero(np.isin(self.group, kept))

    @property
    def half_stretch(self) -> Float[np.ndarray, " class"]:
        """What the spread over halves is multiplied by: half of an odd number is less than a half."""
        sizes = np.array([len(own) for own in self.own_groups])
        stretch: Float[np.ndarray, " class"] = np.sqrt((sizes // 2) / (sizes - sizes // 2))
        return stretch
