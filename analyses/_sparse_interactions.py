"""Interactions of many players, estimated from a budget of masked inputs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._effects import Effect
from conceptscope.analyses._found_effects import SALIENT, FoundEffects
from conceptscope.analyses._fourier_screening import Support
from conceptscope.analyses._sentence import Sentence
from conceptscope.analyses._sparse_moebius import and_effects
from conceptscope.analyses._sparse_result import SparseEffects

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class SparseInteractions(FoundEffects):
    """A target as a sparse sum of interactions, made by `interactions(..., budget=)`.

    What it says is true of the surrogate, which explains ``surrogate.r2`` of the model's variance over masked
    inputs that were held out; interactions that leave no trace in smaller groups are seldom found.
    """

    surrogate: SparseEffects
    method: str
    _: KW_ONLY
    target: str
    baseline: str
    path: str
    model_name: str = ""
    sentence: Sentence | None = field(default=None, repr=False)

    @property
    def players(self) -> tuple[str, ...]:  # type: ignore[override]
        """The players' labels."""
        return self.surrogate.players

    @cached_property
    def effects(self) -> dict[str, dict[Support, float]]:
        """The effects by kind and by the numbers of their players; what is left out is zero."""
        if self.method == "and":
            return {"and": self.surrogate.effects}
        if self.method == "or":
            return {"or": self._or_effects()}
        mixed = self.surrogate.and_or()
        return {"and": mixed.and_effects, "or": mixed.or_effects}

    @property
    def magnitudes(self) -> Float[np.ndarray, " effect"]:
        """The magnitudes of all effects that were found, in no order."""
        return np.array([abs(v) for kind in self.effects.values() for who, v in kind.items() if who])

    def shapley(self) -> dict[str, float]:
        """Each player's Shapley value in the surrogate; of the other indices see ``surrogate``."""
        found = self.surrogate.shapley()
        return {player: found.get((number,), 0.0) for number, player in enumerate(self.players)}

    def to_frame(self) -> pd.DataFrame:
        """One row an effect, the greatest first: kind, order, players, effect, share, low, high, salient.

        low, high: the 95 % interval of the model's own effect; for the method "and" alone.
        """
        import pandas as pd

        greatest = float(self.magnitudes.max(initial=0.0)) or 1.0
        intervals = self.surrogate.intervals if self.method == "and" else {}
        rows = []
        for one in self._sorted(0.0):
            low, high = intervals.get(one.indices, (None, None))
            rows.append(
                {
                    "kind": one.kind,
                    "order": one.order,
                    "players": one.name,
                    "effect": one.value,
                    "share": abs(one.value) / greatest,
                    "low": low,
                    "high": high,
                    "salient": abs(one.value) >= SALIENT * greatest,
                }
            )
        return pd.DataFrame(rows)

    def about(self) -> str:
        """What was computed, and how far it can be trusted, in sentences."""
        (nobody, _), (everybody, there) = self.surrogate.ends
        fit = self.surrogate.fit
        return (
            f"{self.target}: {everybody:+.3f} with all {len(self.players)} players ({there:+.3f} by the sum "
            f"of interactions), {nobody:+.3f} with none ({self.baseline}). {len(self.magnitudes)} "
            f"{self.method.upper()} interactions explain {fit.r2:.3f} [{fit.low:.3f}, {fit.high:.3f}] of the "
            f"variance over {fit.n_held_out} masked inputs that were held out. Computed by: {self.path}."
        )

    def __repr__(self) -> str:
        fit = self.surrogate.fit
        first = ", ".join(f"{one.name} {one.value:+.3g}" for one in self.strongest(3))
        return (
            f"SparseInteractions({self.target}; {len(self.players)} players, {self.method}, held-out R² "
            f"{fit.r2:.3f} [{fit.low:.3f}, {fit.high:.3f}]: {first})"
        )

    def _at_least(self, least: float) -> list[Effect]:
        return [
            Effect(kind, tuple(self.players[i] for i in who), value, who)
            for kind, effects in self.effects.items()
            for who, value in effects.items()
            if who and value and abs(value) >= least
        ]

    def _or_effects(self) -> dict[Support, float]:
        """Those of v are the AND effects of v(N without T), turned round; absence turns every sign round."""
        found = self.surrogate
        signs = [(-1.0) ** len(support) for support in found.supports]
        turned = and_effects(found.supports, found.coefficients * found.coefficients.new_tensor(signs))
        return {who: -value for who, value in turned.items() if who} | {(): found.effects.get((), 0.0)}
