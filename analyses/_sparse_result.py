"""What sparse screening finds in a game of many players."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from jaxtyping import Bool, Float64
from torch import Tensor

from conceptscope.analyses._fourier_fit import Fourier
from conceptscope.analyses._fourier_screening import Support
from conceptscope.analyses._game import check_masks
from conceptscope.analyses._sparse_and_or import SparseAndOr, sparse_and_or
from conceptscope.analyses._sparse_indices import (
    sparse_banzhaf,
    sparse_fsii,
    sparse_shapley,
    sparse_sii,
    sparse_stii,
)
from conceptscope.analyses._sparse_moebius import and_effects

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Fit:
    """How much of a game's variance over random coalitions a surrogate explains, on coalitions held out.

    low, high: a 95 % bootstrap interval. n_fitted, n_held_out: how many coalitions.
    """

    r2: float
    low: float
    high: float
    n_fitted: int
    n_held_out: int


@dataclass(frozen=True, eq=False, repr=False)
class SparseEffects:
    """A game's sparse surrogate: AND effects and all that follows from them exactly, with its held-out fit.

    Players are numbers in increasing order, in the order of ``players``; values are in the target's unit. A
    set of players that is left out has zero.

    supports: of the Fourier terms, the empty one first. coefficients: theirs, of products of signs that are
        -1 where a player is present.
    intervals: for each AND effect a 95 % interval of the game's own, from the coalitions held out; see
        `sparse_interactions`.
    ends: of nobody and of everybody, the game's value and the surrogate's. Neither is like the coalitions
        drawn, in which half of the players are present, so the surrogate may be off there.
    """

    players: tuple[str, ...]
    supports: tuple[Support, ...]
    coefficients: Float64[Tensor, " support"]
    fit: Fit
    intervals: dict[Support, tuple[float, float]] = field(default_factory=dict)
    ends: tuple[tuple[float, float], tuple[float, float]] = field(default=((0.0, 0.0), (0.0, 0.0)))
    generator_state: Tensor | None = None

    @property
    def r2(self) -> float:
        """The share of the variance explained on coalitions held out."""
        return self.fit.r2

    @cached_property
    def effects(self) -> dict[Support, float]:
        """The surrogate's AND (Harsanyi) effects by players, smaller sets first."""
        return and_effects(self.supports, self.coefficients)

    def values(self, masks: Bool[Tensor, "mask player"]) -> Float64[Tensor, " mask"]:
        """The surrogate's values of some coalitions.

        Raises:
            ValueError: masks of another shape or type.
        """
        check_masks(masks, len(self.players))
        return Fourier(self.supports, self.coefficients).values(masks)

    def strongest(self, n: int = 10, min_order: int = 1) -> list[Support]:
        """The sets of at least so many players with the largest AND effects."""
        sets = [players for players in self.effects if len(players) >= min_order]
        return sorted(sets, key=lambda players: -abs(self.effects[players]))[:n]

    def shapley(self) -> dict[Support, float]:
        """Shapley values of the surrogate."""
        return sparse_shapley(self.effects)

    def sii(self, k: int = 2) -> dict[Support, float]:
        """The Shapley interaction index of sets of 1 to k players."""
        return sparse_sii(self.effects, k)

    def stii(self, k: int = 2) -> dict[Support, float]:
        """The Shapley-Taylor index of sets of 1 to k players."""
        return sparse_stii(self.effects, k)

    def fsii(self, k: int = 2) -> dict[Support, float]:
        """The faithful Shapley index of sets of 1 to k players."""
        return sparse_fsii(self.effects, k)

    def banzhaf(self, k: int = 1) -> dict[Support, float]:
        """The Banzhaf interaction index of sets of 1 to k players."""
        return sparse_banzhaf(self.effects, k)

    def and_or(self) -> SparseAndOr:
        """The AND and OR effects of least total magnitude among subsets of the supports."""
        return sparse_and_or(self.effects)

    def to_frame(self) -> pd.DataFrame:
        """A row for each AND effect, the largest first, with the interval of the game's own."""
        import pandas as pd

        rows = [
            {
                "players": " & ".join(self._labels(chosen)) or "(nobody)",
                "order": len(chosen),
                "effect": self.effects[chosen],
                "low": self.intervals[chosen][0],
                "high": self.intervals[chosen][1],
            }
            for chosen in self.strongest(len(self.effects), min_order=0)
        ]
        return pd.DataFrame(rows, columns=["players", "order", "effect", "low", "high"])

    def _labels(self, chosen: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.players[player] for player in chosen)

    def __repr__(self) -> str:
        fit = self.fit
        return (
            f"SparseEffects({len(self.players)} players, {len(self.effects)} effects, held-out R² "
            f"{fit.r2:.3f} [{fit.low:.3f}, {fit.high:.3f}] of {fit.n_held_out} coalitions, "
            f"fitted on {fit.n_fitted})"
        )
