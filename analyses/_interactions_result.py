"""What a model computes, as interactions between its inputs or parts."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.analyses import _indices
from conceptscope.analyses._conditions import Conditions, conditions
from conceptscope.analyses._decomposition import Decomposition, decompose
from conceptscope.analyses._effects import Effect, effects_at, members
from conceptscope.analyses._found_effects import SALIENT, FoundEffects
from conceptscope.analyses._moebius import moebius, orders
from conceptscope.analyses._sentence import Sentence

if TYPE_CHECKING:
    import pandas as pd

_NOISY = 3.0


@dataclass(frozen=True, eq=False, repr=False)
class Interactions(FoundEffects):
    """A target of a model as a sum of interactions, made by `interactions`.

    A mask is a number whose bit i says that player i is present; everything below is indexed by it.
    values: the target with only these players present, in the target's own unit (nats for log-odds).
    effects: by kind, [mask]; that of the empty mask is the value without any player.
    value_noise: the standard deviation of the values that comes from the model's arithmetic, or None.
    baseline: what stands in for absent players; path: how the values were computed.
    sentence: the text with its players, or None where players are parts of the model.

    Source: arXiv 2305.01939; 2304.13312 (OR).
    """

    players: tuple[str, ...]
    values: Float[Tensor, " mask"]
    found: Decomposition = field(repr=False)
    _: KW_ONLY
    target: str
    baseline: str
    path: str
    model_name: str = ""
    sentence: Sentence | None = None
    value_noise: float | None = None
    source: dict[str, Any] = field(default_factory=dict)
    generator_state: UInt8[Tensor, " byte"] | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        """ "and", "or" or "and-or"."""
        return self.found.method

    @property
    def effects(self) -> dict[str, Float[Tensor, " mask"]]:
        """The effects of every mask, by kind: "and", "or" or both."""
        return self.found.effects

    @functools.cached_property
    def harsanyi(self) -> Float[Tensor, " mask"]:
        """The AND effects of the values themselves, whatever the method; the indices are made of them."""
        return self.effects["and"] if self.method == "and" else moebius(self.values)

    def as_method(self, method: str, *, noise_share: float = 0.0) -> Interactions:
        """The same values taken apart by another method; no forward pass is needed.

        noise_share: see `interactions`.

        Raises:
            ValueError: no such method.
        """
        return replace(self, found=decompose(self.values, method, noise_share))

    @property
    def magnitudes(self) -> Float[np.ndarray, " effect"]:
        """The magnitudes of all effects, in no order."""
        found: Float[np.ndarray, " effect"] = torch.cat(
            [effects[1:].abs() for effects in self.effects.values()]
        ).numpy()
        return found

    def rebuilt_from(self, effects: Iterable[Effect]) -> Float[Tensor, " mask"]:
        """The values that some of the effects add up to, from the value without any player on."""
        kept = {kind: torch.zeros_like(all_) for kind, all_ in self.effects.items()}
        for kind, all_ in self.effects.items():
            kept[kind][0] = all_[0]
        for one in effects:
            kept[one.kind][sum(1 << player for player in one.indices)] = one.value
        return replace(self.found, effects=kept).rebuilt()

    def matching_error(self) -> float:
        """The greatest error over all 2^n masks of the values rebuilt from the effects, over their range.

        It is rounding, unless a share of noise was allowed.
        """
        off = float((self.found.rebuilt() - self.values).abs().max())
        spread = float(self.values.max() - self.values.min())
        return off / spread if spread else off

    def shapley(self) -> dict[str, float]:
        """Each player's Shapley value, in the target's unit; they add up to the whole text's gain."""
        return dict(zip(self.players, _indices.shapley(self.harsanyi).tolist(), strict=True))

    def sii(self, k: int = 2) -> dict[tuple[str, ...], float]:
        """The Shapley interaction index of all groups of up to k players.

        Raises:
            ValueError: k is not from 1 to the number of players; so for the other indices.
        """
        return self._by_group(_indices.sii(self.harsanyi, k), k)

    def stii(self, k: int = 2) -> dict[tuple[str, ...], float]:
        """The Shapley-Taylor interaction index of all groups of up to k players."""
        return self._by_group(_indices.stii(self.harsanyi, k), k)

    def fsii(self, k: int = 2) -> dict[tuple[str, ...], float]:
        """The faithful Shapley interaction index of all groups of up to k players."""
        return self._by_group(_indices.fsii(self.harsanyi, k), k)

    def banzhaf(self) -> dict[str, float]:
        """Each player's Banzhaf value: its mean gain over all masks of the others."""
        return dict(zip(self.players, _indices.banzhaf(self.harsanyi).tolist(), strict=True))

    def conditions(self, tau: float = SALIENT) -> Conditions:
        """The paper's three conditions, and the number of salient interactions beside its bound."""
        return conditions(self.values, self.harsanyi, tau=tau)

    def noise_floor(self, times: float = _NOISY) -> Float[Tensor, " mask"]:
        """Below this an effect of each mask is what the arithmetic makes: ``times`` its standard deviation.

        Independent errors of the values, of standard deviation s, give effects of order k the standard
        deviation 2^(k/2) s. Of the and-or method's effects, which are no linear function of the values, it
        is a rule of thumb.

        Raises:
            ValueError: the noise was not measured.
        """
        if self.value_noise is None:
            raise ValueError("the noise of the values was not measured: call interactions(..., noise=True)")
        return times * self.value_noise * 2.0 ** (orders(len(self.players)).double() / 2)

    def to_frame(self) -> pd.DataFrame:
        """One row an effect, the greatest first: kind, order, players, effect, share of the greatest, noise.

        The empty mask, which is the value without any player, is left out.
        """
        import pandas as pd

        greatest = float(self.magnitudes.max(initial=0.0)) or 1.0
        rows = [
            {
                "kind": one.kind,
                "order": one.order,
                "players": one.name,
                "effect": one.value,
                "share": abs(one.value) / greatest,
                "noise": one.noise,
                "salient": abs(one.value) >= SALIENT * greatest,
            }
            for one in self._sorted(0.0)
        ]
        return pd.DataFrame(rows)

    def __sub__(self, other: Interactions) -> Interactions:
        """What differs between two, such as a steered and an untouched model: that of their values.

        Raises:
            ValueError: they have other players or targets.
        """
        if self.players != other.players or self.target != other.target:
            raise ValueError(
                f"{self!r} and {other!r} have other players or targets: only interactions of the same "
                "players in the same target can be taken from each other"
            )
        values = self.values - other.values
        noises = (self.value_noise, other.value_noise)
        noise = None if None in noises else math.hypot(*(n for n in noises if n is not None))
        return replace(
            self,
            values=values,
            found=decompose(values, self.method),
            target=f"difference in {self.target}",
            value_noise=noise,
            source={**self.source, "less": other.source},
        )

    def __repr__(self) -> str:
        first = ", ".join(f"{one.name} {one.value:+.3g}" for one in self.strongest(3))
        return (
            f"Interactions({self.target}; {len(self.players)} players, {self.method}, "
            f"{len(self.salient())} salient of {len(self.magnitudes)}: {first})"
        )

    def about(self) -> str:
        """What was computed, and how far it can be trusted, in sentences."""
        error, gap = self.matching_error(), self.found.gap
        sparsest = f", {gap:.1g} from the sparsest" if self.method == "and-or" else ""
        return (
            f"{self.target}: {float(self.values[-1]):+.3f} with all {len(self.players)} players, "
            f"{float(self.values[0]):+.3f} with none ({self.baseline}). {len(self.salient())} of "
            f"{len(self.magnitudes)} {self.method.upper()} interactions are salient{sparsest}; they match "
            f"all {len(self.values)} masked inputs {f'to {error:.0e} of the range' if error else 'exactly'}. "
            f"Computed by: {self.path}."
        )

    def _by_group(self, index: Float[Tensor, " mask"], k: int) -> dict[tuple[str, ...], float]:
        """The values of groups of 1 to k players, small groups first."""
        sizes = orders(len(self.players))
        masks = ((sizes >= 1) & (sizes <= k)).nonzero()[:, 0]
        by_size = sorted(masks.tolist(), key=lambda mask: (int(sizes[mask]), mask))
        return {tuple(self.players[i] for i in members(mask)): float(index[mask]) for mask in by_size}

    def _at_least(self, least: float) -> list[Effect]:
        noise = None if self.value_noise is None else self.noise_floor()
        found: list[Effect] = []
        for kind, effects in self.effects.items():
            chosen = (effects.abs() >= least) & (effects != 0)
            chosen[0] = False
            found += effects_at(kind, chosen.nonzero()[:, 0], effects, noise, self.players)
        return found
