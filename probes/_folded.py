"""Labelled rows in parts, of which training sets are made, and the means of the classes in these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from conceptscope.probes._concept import Concept
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._random_directions import RandomDirections


@dataclass(frozen=True, eq=False)
class Folded:
    """Rows in parts, sets of labels, and training sets made of whole parts, of which the last has all rows.

    What is found in the parts is gathered once, and added up for every training set: nothing is subtracted,
    and no more than a block of rows is in memory.

    codes: the number of each row's class, for each set of labels; the first set is the true one.
    part: the number of the part that each row belongs to. kept: 1 for the parts that a training set has.
    """

    data: Labelled
    codes: Int[Tensor, "set example"]
    n_classes: int
    part: Int[Tensor, " example"]
    kept: Float[Tensor, "training part"]
    random: RandomDirections | None = None

    @classmethod
    def whole(cls, data: Labelled, codes: Int[Tensor, " example"], n_classes: int) -> Folded:
        """One set of labels and one part, which is all there is to train on."""
        codes = codes.to(data.first.device)
        one = torch.ones(1, 1, dtype=torch.float64, device=codes.device)
        return cls(data, codes[None], n_classes, torch.zeros_like(codes), one)

    @classmethod
    def without_each(
        cls,
        data: Labelled,
        codes: Int[Tensor, "set example"],
        n_classes: int,
        fold: Int[Tensor, " example"],
        random: RandomDirections | None = None,
    ) -> Folded:
        """A training set without each of the folds, in their order, and one with all."""
        codes, fold = codes.to(data.first.device), fold.to(data.first.device)
        folds = int(fold.max()) + 1
        kept = torch.cat([1 - torch.eye(folds), torch.ones(1, folds)]).to(codes.device).double()
        return cls(data, codes, n_classes, fold, kept, random)

    def pooled(self) -> Folded:
        """The same rows and training sets as if there were one class; what is known already goes along."""
        none = torch.zeros_like(self.codes[:1])
        other = Folded(self.data, none, 1, self.part, self.kept)
        sums = self.sums
        other.__dict__["sums"] = ClassSums(
            sums.mean, sums.counts[:, :1].sum(2, keepdim=True), sums.sums[:, :1].sum(2, keepdim=True)
        )
        return other

    @property
    def n_concepts(self) -> int:
        """How many directions tell the classes apart."""
        return 1 if self.n_classes == 2 else self.n_classes

    @property
    def problems(self) -> list[tuple[int, int]]:
        """The fits to make: each set of labels on each training set, but on all rows the true ones alone."""
        *some, everything = range(len(self.kept))
        return [(rows, labels) for rows in some for labels in range(len(self.codes))] + [(everything, 0)]

    def training_rows(self, training: int) -> Bool[Tensor, " example"]:
        """Which rows a training set has."""
        return self.kept[training].bool()[self.part]

    def parts_of(self, rows: Any) -> list[tuple[int, Any]]:
        """The parts that rows are of, and what selects each part among these rows."""
        part = self.part[rows]
        found = part.unique().tolist()  # type: ignore[no-untyped-call]
        if len(found) == 1:
            return [(found[0], slice(None))]
        return [(number, (part == number).nonzero()[:, 0]) for number in found]

    @cached_property
    def sizes(self) -> Float[Tensor, " training"]:
        """How many rows each training set has."""
        return self.kept @ torch.bincount(self.part, minlength=self.kept.shape[1]).double()

    @cached_property
    def sums(self) -> ClassSums:
        """How many rows of each part are of each class, and their sum, from one pass over the rows.

        Raises:
            ValueError: values that are NaN, infinite or the same in every row.
        """
        sets, parts = len(self.codes), self.kept.shape[1]
        start = self.data.first
        counts = start.new_zeros(parts, sets, self.n_classes)
        sums = start.new_zeros(parts, sets * self.n_classes, len(start))
        for number, (rows, x) in enumerate(self.data.usable_blocks()):
            start = start if number else x.mean(0)
            moved = x - start
            member = torch.nn.functional.one_hot(self.codes[:, rows], self.n_classes).to(x)
            for part, own in self.parts_of(rows):
                counts[part] += member[:, own].sum(1)
                sums[part] += member[:, own].transpose(1, 2).flatten(0, 1) @ moved[own]
            if self.random:
                self.random.add(moved)
        sums = sums.view(*counts.shape, -1)
        shift = sums[:, 0].sum((0, 1)) / len(self.data)
        sums -= counts[..., None] * shift
        directions = self.random.directions(shift) if self.random else None
        return ClassSums(start + shift, counts, sums, directions)

    @cached_property
    def counts(self) -> Float[Tensor, "training set class"]:
        """How many rows of each class a training set has."""
        return torch.einsum("tp,psc->tsc", self.kept, self.sums.counts)

    @cached_property
    def means(self) -> Float[Tensor, "training set class d"]:
        """The mean of each class in each training set."""
        sums = torch.einsum("tp,pscd->tscd", self.kept, self.sums.sums)
        return self.sums.mean + sums / self.counts[..., None]

    @cached_property
    def middles(self) -> Float[Tensor, "training d"]:
        """The mean of all rows of each training set."""
        sums = torch.einsum("tp,pcd->td", self.kept, self.sums.sums[:, 0])
        return self.sums.mean + sums / self.sizes[:, None]


@dataclass(frozen=True, eq=False)
class ClassSums:
    """The mean of all rows, and in each part the number of rows of each class and their sum, less that mean.

    directions: random ones, where they were asked for.
    """

    mean: Float[Tensor, " d"]
    counts: Float[Tensor, "part set class"]
    sums: Float[Tensor, "part set class d"]
    directions: Float[Tensor, "d draw concept"] | None = None


@dataclass(frozen=True, eq=False)
class FoldFits:
    """For each training set and set of labels A and the offset; and the concept of the last one.

    That is of all rows with their true labels, and takes the scale of its readings.
    """

    reading: Float[Tensor, "training set concept d"]
    offset: Float[Tensor, "training set concept"]
    concept: Callable[[Float[Tensor, " concept"]], Concept]


@runtime_checkable
class FitsFolds(Protocol):
    """An extractor that needs no more than sums over rows; `sweep` then reads the rows block by block."""

    def fit_folds(self, folded: Folded) -> FoldFits:
        """The fits on all training sets, with all sets of labels.

        Raises:
            ValueError: rows in which no concept can be found.
        """
        ...


def fit_whole(
    extractor: FitsFolds, data: Labelled, codes: Int[Tensor, " example"], n_classes: int
) -> Concept:
    """The concept of all rows.

    Raises:
        ValueError: rows in which no concept can be found.
    """
    folded = Folded.whole(data, codes, n_classes)
    fits = extractor.fit_folds(folded)
    return fits.concept(data.spread(fits.reading[-1, 0], folded.sums.mean))
