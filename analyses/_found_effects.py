"""What results that consist of effects have in common: the strongest ones, and how they are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._effects import Effect
from conceptscope.analyses._sentence import Sentence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SALIENT = 0.05
"""An effect is salient from this share of the greatest one on: the paper's tau."""


class FoundEffects(ABC):
    """Effects of players on a target; the effect of nobody, the value without players, is none of them."""

    players: tuple[str, ...]
    target: str
    sentence: Sentence | None

    @property
    @abstractmethod
    def magnitudes(self) -> Float[np.ndarray, " effect"]:
        """The magnitudes of all effects, in no order."""

    @abstractmethod
    def about(self) -> str:
        """What was computed, and how far it can be trusted, in sentences."""

    @abstractmethod
    def _at_least(self, least: float) -> list[Effect]:
        """The effects that are not zero and not smaller than this, in any order."""

    def salient(self, tau: float = SALIENT) -> tuple[Effect, ...]:
        """The effects of at least tau times the greatest one, the greatest first.

        Raises:
            ValueError: a tau that is not between 0 and 1.
        """
        if not 0 <= tau <= 1:
            raise ValueError(f"tau is a share of the greatest effect, from 0 to 1; got {tau}")
        return self._sorted(tau * float(self.magnitudes.max(initial=0.0)))

    def strongest(self, n: int = 10) -> tuple[Effect, ...]:
        """The n greatest effects, the greatest first."""
        magnitudes = self.magnitudes
        n = min(n, len(magnitudes))
        return self._sorted(float(np.partition(magnitudes, -n)[-n]))[:n] if n > 0 else ()

    def plot(self, ax: Axes | None = None) -> Axes:
        """The strongest interactions as bars; on a new figure, the sparsity curve beside them."""
        from conceptscope.analyses._interactions_plot import plot_interactions

        return plot_interactions(self, ax)

    def _repr_html_(self) -> str:
        from conceptscope.analyses._interactions_html import interactions_html

        return interactions_html(self)

    def _sorted(self, least: float) -> tuple[Effect, ...]:
        return tuple(sorted(self._at_least(least), key=lambda one: -abs(one.value)))
