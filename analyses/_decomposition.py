"""Values taken apart into AND and OR effects, and put together again."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._and_or import and_or
from conceptscope.analyses._moebius import moebius, or_effects, or_values, zeta

METHODS = ("and", "or", "and-or")


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Effects by kind, [mask] each.

    gap: how far the sum of the magnitudes may be above the least one possible, relative; 0 where there is
    only one decomposition. noise: what was taken off the values so that fewer effects remain, [mask].
    """

    method: str
    effects: dict[str, Float[Tensor, " mask"]]
    gap: float = 0.0
    noise: Float[Tensor, " mask"] | None = field(default=None, repr=False)

    def rebuilt(self) -> Float[Tensor, " mask"]:
        """The values that the effects add up to."""
        parts = {"and": zeta, "or": or_values}
        return torch.stack([parts[kind](effects) for kind, effects in self.effects.items()]).sum(0)


def decompose(values: Float[Tensor, " mask"], method: str, noise_share: float = 0.0) -> Decomposition:
    """Effects of one of the METHODS.

    noise_share: of the and-or method alone: how far the values may be changed, as a share of the gain of the
        whole over nothing, so that the effects are fewer.

    Raises:
        ValueError: no such method; a share of noise that is negative, or with a method that allows none.
    """
    check_method(method, noise_share)
    if method == "and":
        return Decomposition(method, {"and": moebius(values)})
    if method == "or":
        return Decomposition(method, {"or": or_effects(values)})
    found = and_or(values, noise_share=noise_share)
    effects = {"and": found.and_effects, "or": found.or_effects}
    return Decomposition(method, effects, found.gap, found.noise)


def check_method(method: str, noise_share: float) -> None:
    """Refuse what `decompose` cannot do, before values are computed for it.

    Raises:
        ValueError: no such method; a share of noise that is no share, or with a method that allows none.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}")
    if not 0 <= noise_share < 1:
        raise ValueError(f"noise_share is a share of the whole's gain, from 0 to below 1; got {noise_share}")
    if noise_share and method != "and-or":
        raise ValueError(f"noise_share= goes with method='and-or', not with {method!r}: leave it out")
