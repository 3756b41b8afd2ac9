"""The conditions under which a model's interactions are proven to be few, checked on one game."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._moebius import n_players, orders

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class Conditions:
    """The three conditions of the sparsity theorem, and the number of salient interactions beside its bound.

    tau: an effect is salient from this share of the greatest one on.
    highest_order: condition 1: no effect of a higher order is salient. 0 where there is no effect at all.
    mean_gain: the values' gain over no player, averaged over the masks of 0, 1, ..., n players.
    is_monotone: condition 2: the mean gain does not fall with the number of players.
    degree: condition 3's p, the least one with which the mean gain of k players is at most k^p times that of
        one; None where there is none, and why_no_degree says why.
    is_polynomial: condition 3 with that p between any two sizes: the smaller one's mean gain is at least
        (smaller / larger)^p times the larger one's. None without a degree.
    net_share: the sum of the effects of order 1, 2, ..., n over the sum of their magnitudes (the paper's
        eta); None for an order without any effect.
    n_salient: how many effects of order 1, 2, ..., n are salient.
    bound: the most that can be, by the theorem. With this game's own coefficients it is the sum of the
        magnitudes of that order over the least salient magnitude.

    Source: arXiv 2305.01939, theorem 3.
    """

    tau: float
    highest_order: int
    mean_gain: Float64[Tensor, " size"]
    is_monotone: bool
    degree: float | None
    why_no_degree: str
    is_polynomial: bool | None
    net_share: tuple[float | None, ...]
    n_salient: tuple[int, ...]
    bound: tuple[float, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row an order: mean gain of as many players, net share, salient effects, bound."""
        import pandas as pd

        return pd.DataFrame(
            {
                "order": range(1, len(self.n_salient) + 1),
                "mean_gain": self.mean_gain[1:].tolist(),
                "net_share": self.net_share,
                "salient": self.n_salient,
                "bound": self.bound,
            }
        )

    def __repr__(self) -> str:
        degree = f"p {self.degree:.3g}" if self.degree is not None else f"no p ({self.why_no_degree})"
        return (
            f"Conditions({sum(self.n_salient)} salient of at most {sum(self.bound):.0f}; highest order "
            f"{self.highest_order}, {'' if self.is_monotone else 'not '}monotone, {degree})"
        )


def conditions(
    values: Float[Tensor, " mask"], effects: Float[Tensor, " mask"], *, tau: float = 0.05
) -> Conditions:
    """The conditions of a game, from its values and its AND effects.

    Raises:
        ValueError: a length that is no power of two; values and effects of different lengths; a tau that is
            not above 0 and at most 1.

    Source: arXiv 2305.01939, section 3.

    >>> values = torch.tensor([0.0, 1.0, 1.0, 4.0])
    >>> conditions(values, torch.tensor([0.0, 1.0, 1.0, 2.0]))
    Conditions(3 salient of at most 40; highest order 2, monotone, p 2)
    """
    n = n_players(values)
    if effects.shape != values.shape:
        raise ValueError(f"{len(effects)} effects do not go with {len(values)} values: give one a mask")
    if not 0 < tau <= 1:
        raise ValueError(f"tau is a share of the greatest effect, above 0 and at most 1; got {tau}")
    sizes = orders(n)
    counts = torch.bincount(sizes)
    gain = _by_size(values.double() - values[0].double(), n) / counts
    magnitudes = effects.double().abs().index_fill(0, torch.tensor([0]), 0.0)
    least = tau * float(magnitudes.max())
    salient = (magnitudes >= least) & (magnitudes > 0)
    absolute = _by_size(magnitudes, n)[1:].tolist()
    net = _by_size(effects.double(), n)[1:].tolist()
    degree, why_not = _degree(gain.tolist())
    slack = _ROUNDING * float(gain.abs().max())
    return Conditions(
        tau=tau,
        highest_order=int((sizes * salient).max()),
        mean_gain=gain,
        is_monotone=bool((gain.diff() >= -slack).all()),
        degree=degree,
        why_no_degree=why_not,
        is_polynomial=None if degree is None else _is_polynomial(gain.tolist(), degree, slack),
        net_share=tuple(one / whole if whole else None for one, whole in zip(net, absolute, strict=True)),
        n_salient=tuple(_by_size(salient.double(), n)[1:].long().tolist()),
        bound=tuple(whole / least if least else 0.0 for whole in absolute),
    )


def _by_size(per_mask: Float64[Tensor, " mask"], n: int) -> Float64[Tensor, " size"]:
    return torch.zeros(n + 1, dtype=torch.float64).index_add(0, orders(n), per_mask)


def _degree(gain: list[float]) -> tuple[float | None, str]:
    """Condition 3's p, or why there is none. A size whose mean gain is not positive bounds no p."""
    if len(gain) < 3:
        return None, "fewer than two players"
    if gain[1] <= 0:
        return None, f"the mean gain of one player is {gain[1]:.3g}, not positive"
    powers = [math.log(gain[size] / gain[1], size) for size in range(2, len(gain)) if gain[size] > 0]
    if not powers:
        return None, "no mean gain of two players or more is positive"
    return max(powers), ""


def _is_polynomial(gain: list[float], degree: float, slack: float) -> bool:
    pairs = itertools.combinations(range(1, len(gain)), 2)
    return all(gain[less] >= (less / more) ** degree * gain[more] - slack for less, more in pairs)
