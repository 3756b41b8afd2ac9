"""Euclidean convexity of classes: how often points between two of a class are put into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.analyses._graph_convexity import Shares

POINTS = 10
"""Points strictly between two of a class, evenly spread."""

_BLOCK_BYTES = 1 << 26

Classify = Callable[[Float[Tensor, "row d"]], Int[np.ndarray, " row"]]
"""Gives the number of each row's class, and another number where it is none of them."""


@dataclass(frozen=True, eq=False)
class _OfClass:
    """Segments between rows a and b of one class: the share of points on each that are put into the class."""

    a: Int[np.ndarray, " pair"]
    b: Int[np.ndarray, " pair"]
    share: Float[np.ndarray, " pair"]

    def shares(self) -> Shares:
        if not len(self.share):
            return Shares(float("nan"), float("nan"), None, None, 0)
        return Shares(float(self.share.mean()), float((self.share == 1).mean()), None, None, len(self.share))


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments between rows of each class."""

    classes: tuple[_OfClass, ...]

    @classmethod
    def of(
        cls,
        x: Float[Tensor, "row d"],
        codes: Int[np.ndarray, " row"],
        classify: Classify,
        pairs: int,
        rng: np.random.Generator,
    ) -> Segments:
        """So many segments of each class at random; all of them where there are no more."""
        found = []
        for number in range(int(codes.max()) + 1):
            a, b = _pairs(np.flatnonzero(codes == number), pairs, rng)
            found.append(_OfClass(a, b, _share_inside(x, a, b, classify, number)))
        return cls(tuple(found))

    def among(self, rows: Int[np.ndarray, " part"]) -> Segments:
        """Those between some of the rows."""
        found = []
        for own in self.classes:
            kept = np.isin(own.a, rows) & np.isin(own.b, rows)
            found.append(_OfClass(own.a[kept], own.b[kept], own.share[kept]))
        return Segments(tuple(found))

    def shares(self) -> list[Shares]:
        """Each class's score."""
        return [own.shares() for own in self.classes]


def fitted_head(x: Float[Tensor, "row d"], codes: Int[np.ndarray, " row"]) -> Classify:
    """A logistic regression on the rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    head.fit(x.cpu().numpy(), codes)
    return lambda rows: np.asarray(head.predict(rows.cpu().numpy()))


def numbered(predict: Callable[[Float[Tensor, "row d"]], Sequence[Any]], labels: Sequence[Any]) -> Classify:
    """A function that gives labels, with their numbers in place of them."""
    number = {label: code for code, label in enumerate(labels)}

    def classify(rows: Float[Tensor, "row d"]) -> Int[np.ndarray, " row"]:
        said = predict(rows)
        listed = said.tolist() if hasattr(said, "tolist") else list(said)
        if len(listed) != len(rows):
            raise ValueError(f"predict= must give one label a row: it got {len(rows)} and gave {len(listed)}")
        return np.array([number.get(label, -1) for label in listed])

    return classify


def _share_inside(
    x: Float[Tensor, "row d"],
    a: Int[np.ndarray, " pair"],
    b: Int[np.ndarray, " pair"],
    classify: Classify,
    number: int,
) -> Float[np.ndarray, " pair"]:
    rows = max(1, _BLOCK_BYTES // (POINTS * x.shape[1] * x.element_size()))
    inside = [
        classify(_between(x, a[begin : begin + rows], b[begin : begin + rows])) == number
        for begin in range(0, len(a), rows)
    ]
    share: Float[np.ndarray, " pair"] = np.concatenate(inside).reshape(len(a), POINTS).mean(1)
    return share


def _pairs(
    members: Int[np.ndarray, " member"], wanted: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """Unordered pairs of members, each at most once: a segment has no direction."""
    n = len(members)
    count = n * (n - 1) // 2
    numbers = np.arange(count) if count <= wanted else np.sort(rng.choice(count, wanted, replace=False))
    high = np.floor((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > numbers  # the root may be rounded up
    return members[numbers - high * (high - 1) // 2], members[high]


def _between(
    x: Float[Tensor, "row d"], a: Int[np.ndarray, " pair"], b: Int[np.ndarray, " pair"]
) -> Float[Tensor, "point d"]:
    share = (torch.arange(1, POINTS + 1, device=x.device) / (POINTS + 1)).to(x)[None, :, None]
    first, last = (x[torch.from_numpy(rows).to(x.device)][:, None] for rows in (a, b))
    return ((1 - share) * first + share * last).flatten(0, 1)
