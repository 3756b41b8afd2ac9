"""Interactions one by one: who takes part, and what it adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float, Int64
from torch import Tensor

KINDS = ("and", "or")


@dataclass(frozen=True, repr=False)
class Effect:
    """What some players do together to the target.

    kind: "and": the value is added when all of the players are present; "or": when any of them is.
    players: their labels; indices: their numbers.
    noise: three standard deviations of what the arithmetic alone makes of such an effect; None if not known.
    """

    kind: str
    players: tuple[str, ...]
    value: float
    indices: tuple[int, ...] = field(default=())
    noise: float | None = None

    @property
    def order(self) -> int:
        """The number of players."""
        return len(self.players)

    @property
    def name(self) -> str:
        """The players with what binds them: "not & happy", "happy | glad"."""
        return (" & " if self.kind == "and" else " | ").join(self.players)

    @property
    def is_above_noise(self) -> bool:
        """Whether the arithmetic alone does not make such an effect; True where that is not known."""
        return self.noise is None or abs(self.value) > self.noise

    def __repr__(self) -> str:
        return f"Effect({self.name!r}, {self.value:+.3g})"


def effects_at(
    kind: str,
    masks: Int64[Tensor, " effect"],
    values: Float[Tensor, " mask"],
    noise: Float[Tensor, " mask"] | None,
    players: Sequence[str],
) -> list[Effect]:
    """The effects of some masks, in that order."""
    found = []
    for mask in masks.tolist():
        who = members(mask)
        floor = None if noise is None else float(noise[mask])
        found.append(Effect(kind, tuple(players[i] for i in who), float(values[mask]), who, floor))
    return found


def members(mask: int) -> tuple[int, ...]:
    """The players of a mask.

    >>> members(0b1101)
    (0, 2, 3)
    """
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
