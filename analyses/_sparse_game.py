"""Interactions of more players than all coalitions can be computed for, from a budget of coalitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64
from scipy.stats import t as student
from torch import Tensor

from conceptscope.analyses._fourier_fit import Fourier, fit_fourier
from conceptscope.analyses._fourier_screening import Support, characters, signs
from conceptscope.analyses._game import EXACT, Game, nothing
from conceptscope.analyses._sparse_moebius import to_moebius
from conceptscope.analyses._sparse_result import Fit, SparseEffects
from conceptscope.hooks._random import numpy_generator, torch_generator

MOST_PLAYERS = 1000
_HELD_OUT, _SELECT = 0.2, 0.25
_RESAMPLES = 2000


def sparse_interactions(
    game: Game,
    budget: int,
    *,
    generator: int | torch.Generator = 0,
    done: Callable[[int], Any] = nothing,
) -> list[SparseEffects]:
    """The AND effects of a game with many players from the values of random coalitions, one result a target.

    Coalitions are drawn with every player present or absent by the toss of a coin, under which products of
    the players' signs are uncorrelated: what they explain can be told apart. Four fifths serve to find and
    fit a sparse sum of such products (`fit_fourier`), which is a sum of AND effects too. The last fifth is
    kept out of all of that: it gives R² and the effects' intervals. An interval is for the effect of the
    best sum of the products found: the surrogate's effect plus what the held-out errors say is missing, give
    or take Student's t. It holds whatever the screening did, but knows nothing of products not found.

    The screening goes up player by player, so that of many players, effects of three or more without any
    trace in their subsets, such as the product of three signs, are seldom found. The held-out R² is then low.

    budget: how many coalitions, with those of nobody and everybody.
    done: told of how many more coalitions there are.

    Raises:
        ValueError: more players than `MOST_PLAYERS`, a budget below `least_budget` or above all coalitions,
            or values that are not finite.
    """
    n = len(game.players)
    _check(n, budget)
    source = torch_generator(generator)
    state = source.get_state()
    masks = torch.cat([torch.stack([torch.zeros(n), torch.ones(n)]).bool(), _drawn(n, budget - 2, source)])
    values = game.values(masks, done).double().cpu()
    if not values.isfinite().all():
        raise ValueError(
            f"{int((~values.isfinite()).sum())} of {values.numel()} values of the game are NaN or infinite: "
            "choose a target that is finite, such as log-odds from logits in float32"
        )
    rng = numpy_generator(source)
    return [_found(game.players, masks, row, state, rng) for row in values]


def least_budget(n: int) -> int:
    """The fewest coalitions of n players that are accepted: four for each player, and 100.

    With fewer, the effects of single players alone are not told apart by the three fifths that are fitted.
    """
    return max(100, 4 * (n + 1))


def _check(n: int, budget: int) -> None:
    if n > MOST_PLAYERS:
        raise ValueError(
            f"a sparse search takes {MOST_PLAYERS} players at most, got {n}: name fewer or longer ones"
        )
    if n <= EXACT and budget > 2**n:
        raise ValueError(
            f"the budget is {budget} coalitions, but {n} players have {2**n}: leave the budget out, and "
            "all of them are computed"
        )
    if budget < least_budget(n):
        raise ValueError(
            f"a budget of {budget} coalitions is too small for {n} players: give at least {least_budget(n)}"
        )


def _drawn(n: int, n_masks: int, source: torch.Generator) -> Bool[Tensor, "mask player"]:
    """Random coalitions; of few players no coalition twice, and neither nobody nor everybody."""
    if n <= EXACT:
        numbers = 1 + torch.randperm(2**n - 2, generator=source, device=source.device)[:n_masks].cpu()
        return (numbers[:, None] >> torch.arange(n) & 1).bool()
    return (torch.rand(n_masks, n, generator=source, device=source.device) < 0.5).cpu()


def _found(
    players: tuple[str, ...],
    masks: Bool[Tensor, "mask player"],
    values: Float64[Tensor, " mask"],
    state: Tensor,
    rng: np.random.Generator,
) -> SparseEffects:
    """The result of one target; the first two masks are nobody and everybody."""
    n_held = max(int(_HELD_OUT * len(masks)), 2)
    drawn, at = masks[2:-n_held], values[2:-n_held]
    fitted = fit_fourier(drawn, at, int(_SELECT * len(drawn)))
    held, true = masks[-n_held:], values[-n_held:]
    left = true - fitted.values(held)
    ends = [(float(v), float(s)) for v, s in zip(values[:2], fitted.values(masks[:2]), strict=True)]
    return SparseEffects(
        players,
        fitted.supports,
        fitted.coefficients,
        _fit(true.numpy(), left.numpy(), len(drawn), rng),
        _intervals(fitted, held, left),
        (ends[0], ends[1]),
        state,
    )


def _fit(true: np.ndarray, left: np.ndarray, n_fitted: int, rng: np.random.Generator) -> Fit:
    """R² with its percentile interval over resampled coalitions."""
    n = len(true)
    drawn = rng.integers(n, size=(_RESAMPLES, n)) + n * np.arange(_RESAMPLES)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=n * _RESAMPLES).reshape(_RESAMPLES, n)
    times = np.concatenate([np.ones((1, n)), counts]) / n
    centred = true - true.mean()
    variance = times @ centred**2 - (times @ centred) ** 2
    unexplained = times @ left**2
    r2 = 1 - np.divide(unexplained, variance, out=np.ones_like(variance), where=variance > 0)
    low, high = np.quantile(r2[1:], [0.025, 0.975]).tolist()
    return Fit(float(r2[0]), low, high, n_fitted, n)


def _intervals(
    fitted: Fourier, held: Bool[Tensor, "mask player"], left: Float64[Tensor, " mask"]
) -> dict[Support, tuple[float, float]]:
    """Each effect with the mean of what the held-out errors add to it, give or take Student's t."""
    effects, matrix = to_moebius(fitted.supports, fitted.coefficients)
    missing = left[:, None] * characters(signs(held), list(fitted.supports))
    added = matrix @ missing.numpy().T
    middle = matrix @ fitted.coefficients.numpy() + added.mean(1)
    reach = student.ppf(0.975, len(held) - 1) * added.std(1, ddof=1) / len(held) ** 0.5
    ends = zip((middle - reach).tolist(), (middle + reach).tolist(), strict=True)
    return dict(zip(effects, ends, strict=True))
