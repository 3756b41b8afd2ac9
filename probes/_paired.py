"""Activations at one site whose rows come in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from conceptscope.hooks import Activations
from conceptscope.probes._labelled import Labelled


@dataclass(frozen=True, eq=False)
class Paired(Labelled):
    """Rows of which every two are a pair, with labels or without.

    Its properties raise ValueError where rows are not in pairs, or labels do not tell a pair's rows apart.
    """

    @cached_property
    def in_order(self) -> Int[Tensor, "side pair"]:
        """The numbers of each pair's two rows, in the order of the rows."""
        return pair_rows(self.activations).to(self.first.device)

    @cached_property
    def positive_first(self) -> Int[Tensor, "side pair"]:
        """The same with the row of the positive class first; without labels, in the order of the rows."""
        if self.activations.labels is None:
            return self.in_order
        if len(self.classes) > 2:
            raise ValueError(
                f"the pairs have {len(self.classes)} classes, and one direction tells two apart: keep the "
                f"pairs of two of {', '.join(map(str, self.classes))}"
            )
        codes = self.codes[self.in_order]
        same = (codes[0] == codes[1]).nonzero().flatten()
        if len(same):
            row = int(self.in_order[0, same[0]])
            raise ValueError(
                f"both rows of pair {(self.activations.pairs or [])[row]!r} are "
                f"{self.classes[int(self.codes[row])]!r}: label each row by its own text, one of each class "
                "in a pair, or leave the pair out"
            )
        return self.in_order.gather(0, codes.argsort(0, descending=True))

    @cached_property
    def sides(self) -> Int[Tensor, " example"]:
        """1 for the first of a pair's rows in `positive_first`, and 0 for the second."""
        first, _ = self.positive_first
        return torch.zeros(len(self), dtype=torch.int64, device=first.device).index_fill(0, first, 1)


def pair_rows(activations: Activations) -> Int[Tensor, "side pair"]:
    """The numbers of the two rows of each pair, in the order of the rows.

    Raises:
        ValueError: no pairs, a row in no pair, or a pair of other than two rows.
    """
    if activations.pairs is None:
        raise ValueError("the activations have no pairs: give Examples(texts, pairs=...) to capture")
    found: dict[Any, list[int]] = {}
    for row, pair in enumerate(activations.pairs):
        found.setdefault(pair, []).append(row)
    if None in found:
        raise ValueError(f"row {found[None][0]} is in no pair: leave such rows out, or give them a pair")
    for pair, rows in found.items():
        if len(rows) != 2:
            raise ValueError(
                f"pair {pair!r} has {len(rows)} row{'s' if len(rows) > 1 else ''}, not two: leave it out, or "
                "capture its texts at one position"
            )
    return torch.tensor(list(found.values())).T
