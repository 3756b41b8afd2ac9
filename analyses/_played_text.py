"""What the games of a text have in common, whoever plays: its words, or parts of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from conceptscope.analyses._game import all_masks, check_exact, check_masks, nothing

_COMPARED = 4


class PlayedText(ABC):
    """A text with players that can be absent, and the targets' values for any coalition of them.

    ``tokens`` are the text's, as strings. ``targets`` and ``baseline`` say in words what is read and what
    becomes of an absent player.
    """

    text: str
    tokens: tuple[str, ...]
    players: tuple[str, ...]
    targets: tuple[str, ...]
    baseline: str

    @property
    @abstractmethod
    def path(self) -> str:
        """How coalitions are computed, with the interventions and hooks that are now on the model."""

    @property
    def n_targets(self) -> int:
        """How many values a coalition has."""
        return len(self.targets)

    def values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any] = nothing
    ) -> Float64[Tensor, "target mask"]:
        """The values of some coalitions, on the CPU; ``done`` is told of how many more there are.

        Raises:
            ValueError: masks of another shape or type; what an intervention refuses when the model runs.
        """
        check_masks(masks, len(self.players))
        return self._values(masks.cpu(), done)

    def all_values(self, done: Callable[[int], Any] = nothing) -> Float64[Tensor, "target mask"]:
        """The values of all 2^n coalitions: bit i of a column's number says that player i is present.

        Raises:
            ValueError: more players than can be computed exactly.
        """
        check_exact(len(self.players))
        return self._all_values(all_masks(len(self.players)), done)

    @abstractmethod
    def _values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target mask"]:
        """The values of coalitions that were checked."""

    def _all_values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target mask"]:
        """The values of all coalitions, where there is a shorter way than one after the other."""
        return self._values(masks, done)

    def __repr__(self) -> str:
        shown = self.text if len(self.text) <= 40 else f"{self.text[:37]}..."
        return f"{type(self).__name__}({shown!r}, {len(self.players)} players, {self.path})"


def a_few(masks: Bool[Tensor, "mask player"]) -> Int64[Tensor, " few"]:
    """The numbers of a few masks, from the first to the last, on which two ways to compute are compared."""
    return torch.linspace(0, len(masks) - 1, _COMPARED).long()
