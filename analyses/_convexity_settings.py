"""What `convexity` was asked for, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._graph_convexity import GraphSettings
from conceptscope.analyses._neighbours import METRICS
from conceptscope.analyses._row_classes import RowClasses

Predict = Callable[[Float[Tensor, "row d"]], Sequence[Any]]
"""Gives the label of each row."""

_FEWEST = 2
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "kind": ("graph", "euclidean"),
    "metric": METRICS,
    "disconnected": ("zero", "exclude"),
    "null": ("analytic", "permute", None),
    "ci": ("half_sample", None),
}
_LEAST = {"k": 1, "sources_per_class": 1, "permutations": 1, "resamples": 2, "pairs": 1}


@dataclass(frozen=True)
class ConvexitySettings:
    """The arguments of `convexity`.

    Raises:
        ValueError: an unknown word, or a number that is too small or not whole.
    """

    kind: str
    k: int
    metric: str
    sources_per_class: int | None
    disconnected: str
    null: str | None
    permutations: int
    ci: str | None
    resamples: int
    predict: Predict | None
    pairs: int

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                listed = ", ".join(map(repr, known))
                raise ValueError(f"{name} must be one of {listed}; got {getattr(self, name)!r}")
        for name, least in _LEAST.items():
            given = getattr(self, name)
            if name == "sources_per_class" and given is None:
                continue
            if isinstance(given, bool) or not isinstance(given, int) or given < least:
                raise ValueError(f"{name} must be a whole number, {least} or more; got {given!r}")

    @property
    def graph(self) -> GraphSettings:
        """How graphs are made and read."""
        return GraphSettings(self.k, self.sources_per_class, self.disconnected)

    def about(self) -> dict[str, Any]:
        """What a result says of how it was made."""
        if self.kind == "euclidean":
            head = "logistic regression" if self.predict is None else "given"
            return {"metric": self.metric, "predict": head, "pairs": self.pairs}
        names = ("k", "metric", "disconnected", "sources_per_class", "null")
        return {name: getattr(self, name) for name in names}

    def check_rows(self, rows: RowClasses) -> None:
        """Refuse rows that are too few.

        Raises:
            ValueError: a class of one row; or of fewer groups than halves need; too few rows for k.
        """
        counts = np.bincount(rows.codes)
        least = int(counts.argmin())
        if counts[least] < _FEWEST:
            raise ValueError(
                f"the class {rows.labels[least]!r} has 1 row, and convexity needs {_FEWEST}: give more rows, "
                "or leave the class out"
            )
        if self.ci is not None:
            _check_halves(rows)
        smallest = len(rows.codes) if self.ci is None else _smallest_half(rows)
        if self.kind == "graph" and self.k >= smallest:
            halves = "" if self.ci is None else " in each half"
            raise ValueError(
                f"k={self.k} neighbours need more than the {smallest} rows{halves}: take a smaller k"
            )


def _check_halves(rows: RowClasses) -> None:
    sizes = np.array([len(own) for own in rows.own_groups])
    least = int(sizes.argmin())
    if sizes[least] < 2 * _FEWEST:
        unit = "rows" if int(rows.group.max()) + 1 == len(rows.group) else "groups of rows"
        raise ValueError(
            f"the class {rows.labels[least]!r} has {sizes[least]} {unit}, and halves need {2 * _FEWEST}: "
            "give more, leave the class out, or the standard errors with ci=None"
        )


def _smallest_half(rows: RowClasses) -> int:
    sizes = np.bincount(rows.group)
    strata = rows.own_groups if rows.pure else [np.arange(len(sizes))]
    return int(sum(np.sort(sizes[own])[: len(own) // 2].sum() for own in strata))
