"""Games: what a model gives as a function of which players are present."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

EXACT = 20
"""The most players whose 2^n coalitions are all computed."""


def nothing(n: int) -> None:
    """Tell nobody of n coalitions that are done."""


class Game(Protocol):
    """Players of a model, and the targets' values for any of their coalitions."""

    @property
    def players(self) -> tuple[str, ...]:
        """The players' labels, each once."""
        ...

    @property
    def n_targets(self) -> int:
        """How many values a coalition has."""
        ...

    def values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any] = nothing
    ) -> Float64[Tensor, "target mask"]:
        """The values of some coalitions, on the CPU; ``done`` is told of how many more there are."""
        ...

    def all_values(self, done: Callable[[int], Any] = nothing) -> Float64[Tensor, "target mask"]:
        """The values of all 2^n coalitions: bit i of a column's number says that player i is present."""
        ...


def all_masks(n: int) -> Bool[Tensor, "mask player"]:
    """All coalitions of n players, by their number.

    >>> all_masks(2).tolist()
    [[False, False], [True, False], [False, True], [True, True]]
    """
    return (torch.arange(2**n)[:, None] >> torch.arange(n) & 1).bool()


def check_exact(n: int) -> None:
    """Refuse more players than can be computed exactly.

    Raises:
        ValueError: there are more than `EXACT`.
    """
    if n > EXACT:
        raise ValueError(
            f"{n} players have 2^{n} coalitions, and all are computed for {EXACT} players at most: "
            "give budget= a number of coalitions to draw, or name fewer players with players=[...]"
        )


def check_masks(masks: Bool[Tensor, "mask player"], n: int) -> None:
    """Refuse what does not say of each player whether it is present.

    Raises:
        ValueError: masks of another shape or type.
    """
    if masks.ndim != 2 or masks.shape[1] != n or masks.dtype != torch.bool:
        raise ValueError(
            f"masks must be booleans of shape (mask, {n}), one column a player, got {masks.dtype} of shape "
            f"{tuple(masks.shape)}"
        )
