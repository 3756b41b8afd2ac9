"""Values as a sum of AND and of OR effects, of which as few and as small as possible remain."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._basis_pursuit import BasisPursuit
from conceptscope.analyses._kronecker import Vector
from conceptscope.analyses._moebius import moebius, or_values
from conceptscope.analyses._sparsest import Sparsest

_BETWEEN_CHECKS = 100


@dataclass(frozen=True, eq=False)
class AndOr:
    """AND and OR effects that match the values, and how near they are to the sparsest.

    and_effects, or_effects: [mask]; the empty mask's AND effect is the value without any player, and OR
    effects of order 0 and 1 are zero, since there they are the same as AND.
    noise: the q that was added to the values before they were taken apart, [mask].
    objective: the sum of the magnitudes without the empty mask's, in the values' unit.
    bound: no choice of effects and noise has a smaller sum: the value of a feasible point of the dual.
    gap: how far the objective may at most be above the least sum, relative to the objective.
    """

    and_effects: Float64[Tensor, " mask"] = field(repr=False)
    or_effects: Float64[Tensor, " mask"] = field(repr=False)
    noise: Float64[Tensor, " mask"] = field(repr=False)
    objective: float
    bound: float
    gap: float
    iterations: int


def and_or(
    values: Float[Tensor, " mask"],
    *,
    noise_share: float = 0.04,
    tolerance: float = 1e-3,
    max_iterations: int = 10_000,
) -> AndOr:
    """The AND and OR effects of the least total magnitude that match the values, to a certified gap.

    The published method: values = v_and + v_or, changed by at most noise_share times the gain of all players
    over none, such that the sum of all effects' magnitudes is least. That is a linear programme; it is solved
    by ADMM with exact projections in O(n 2^n) an iteration (1 ms at n = 12, 0.3 ms without noise), which
    stops at a gap of tolerance, or after max_iterations with the gap it then has.

    Raises:
        ValueError: a length that is no power of two; values that are not finite; a share that is not in
            [0, 1); a tolerance that is not positive; less than one iteration.

    Source: arXiv 2305.01939, 2304.13312 (what is minimised).

    >>> found = and_or(torch.tensor([0.0, 1.0, 1.0, 1.0]), noise_share=0.0)
    >>> found.or_effects.round(decimals=3).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    _check(noise_share, tolerance, max_iterations)
    values = values.double()
    effects = moebius(values)
    effects[0] = 0.0
    scale = float(effects.abs().max())
    if not scale:
        nothing = torch.zeros_like(values)
        return AndOr(moebius(values), nothing, nothing.clone(), 0.0, 0.0, 0.0, 0)
    box = noise_share * float((values[-1] - values[0]).abs()) / scale
    problem = Sparsest(effects / scale, box)
    best = _solved(problem, tolerance, max_iterations)
    or_found, noise = best.or_effects * scale, best.noise * scale
    and_found = moebius(values + noise - or_values(or_found))
    return AndOr(
        and_found, or_found, noise, best.objective * scale, best.bound * scale, best.gap, best.iterations
    )


@dataclass
class _Best:
    """The best bounds so far, and where the upper one is reached."""

    or_effects: Vector
    noise: Vector
    objective: float
    bound: float = 0.0
    iterations: int = 0

    @property
    def gap(self) -> float:
        return max(0.0, 1 - self.bound / self.objective) if self.objective else 0.0


def _solved(problem: Sparsest, tolerance: float, max_iterations: int) -> _Best:
    none = torch.zeros_like(problem.effects)
    best = _Best(none, none, problem.objective(none, none))
    pursuit, rebalanced = BasisPursuit(problem), _BETWEEN_CHECKS
    while best.gap > tolerance and pursuit.iterations < max_iterations:
        pursuit.run(min(_BETWEEN_CHECKS, max_iterations - pursuit.iterations))
        or_effects, noise = pursuit.feasible()
        objective = problem.objective(or_effects, noise)
        if objective < best.objective:
            best.or_effects, best.noise, best.objective = or_effects, noise, objective
        best.bound = max(best.bound, *map(problem.bound, pursuit.dual_candidates()))
        if pursuit.iterations >= rebalanced:  # ever more seldom: with a penalty that settles ADMM converges
            pursuit.balance()
            rebalanced *= 2
    best.iterations = pursuit.iterations
    return best


def _check(noise_share: float, tolerance: float, max_iterations: int) -> None:
    if not 0 <= noise_share < 1:
        raise ValueError(
            f"noise_share is a share of the whole gain, at least 0 and below 1; got {noise_share}"
        )
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance must be a positive gap such as 1e-3, got {tolerance}")
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be at least 1, got {max_iterations}")
