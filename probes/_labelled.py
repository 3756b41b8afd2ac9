"""Activations at one site with the class of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks import Activations
from conceptscope.probes._concept import Concept, Link
from conceptscope.probes._rows import Rows


@dataclass(frozen=True, eq=False)
class Labelled(Rows):
    """Rows with labels: `codes` holds the number of each row's class in the sorted `classes`.

    Its properties raise ValueError where there are no labels, or of one class only.
    """

    @cached_property
    def _coded(self) -> tuple[Int[Tensor, " example"], tuple[Any, ...]]:
        codes, classes = label_codes(self.activations)
        return codes.to(self.first.device), classes

    @property
    def codes(self) -> Int[Tensor, " example"]:
        """The number of each row's class."""
        return self._coded[0]

    @property
    def classes(self) -> tuple[Any, ...]:
        """The sorted labels."""
        return self._coded[1]

    def class_means(self) -> Float[Tensor, "class d"]:
        """The mean of each class."""
        member = torch.nn.functional.one_hot(self.codes, len(self.classes)).to(self.x)
        return (member / member.sum(0)).T @ self.x

    def concept(
        self,
        extractor: Any,
        reading: Float[Tensor, "concept d"],
        steering: Float[Tensor, "concept d"],
        offset: Float[Tensor, " concept"],
        *,
        method: str,
        settings: Mapping[str, Any] | None = None,
        link: Link | None = None,
        mean: Float[Tensor, " d"] | None = None,
        scale: Float[Tensor, " concept"] | None = None,
    ) -> Concept:
        """The concept of these classes with these directions.

        mean, scale: those of the rows and of their readings, where they are known already.

        Raises:
            ValueError: a reading that is the same for every row.
        """
        counts = torch.bincount(self.codes, minlength=len(self.classes)).tolist()
        return self.make_concept(
            extractor,
            reading,
            steering,
            offset,
            method=method,
            classes=self.classes,
            name="/".join(map(str, self.classes if len(self.classes) > 2 else self.classes[-1:])),
            settings=settings,
            link=link,
            source={"class_counts": counts},
            mean=mean,
            scale=scale,
        )


def label_codes(activations: Activations) -> tuple[Int[Tensor, " example"], tuple[Any, ...]]:
    """The number of each row's class among the sorted classes, and these.

    Raises:
        TypeError: labels that cannot be sorted.
        ValueError: no labels, or one class only.
    """
    if activations.labels is None:
        raise ValueError("the activations have no labels: give Examples(texts, labels) to capture")
    try:
        classes = tuple(sorted(set(activations.labels)))
    except TypeError as error:
        raise TypeError("the labels cannot be sorted: make them all text or all numbers") from error
    if len(classes) < 2:
        raise ValueError(f"all labels are {classes[0]!r}: a concept needs examples of at least two classes")
    number = {label: code for code, label in enumerate(classes)}
    return torch.tensor([number[label] for label in activations.labels]), classes
