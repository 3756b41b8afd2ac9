"""Shares of players and of groups of players in a game, all from its Moebius vector.

Every index here is a sum of the AND effects of a mask's supersets, weighted by the sizes of both. Indices of
interactions are indexed by mask, as the effects are; they are zero above the order asked for and at the empty
mask.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import comb

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._game import all_masks
from conceptscope.analyses._moebius import n_players, orders, sum_supersets


def shapley(effects: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch player"]:
    """Shapley values: every effect is shared equally among its players.

    Source: Shapley 1953; Harsanyi 1963 (by dividends).

    >>> shapley(torch.tensor([0.0, 1.0, 2.0, 2.0])).tolist()
    [2.0, 3.0]
    """
    return _of_players(effects, _equal_share)


def banzhaf(effects: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch player"]:
    """Banzhaf values: what a player adds, averaged over all sets of the others.

    Source: Grabisch and Roubens 1999 (from the Moebius transform).

    >>> banzhaf(torch.tensor([0.0, 1.0, 2.0, 2.0])).tolist()
    [2.0, 3.0]
    """
    return _of_players(effects, _share_of_pivots)


def sii(effects: Float[Tensor, "*batch mask"], k: int) -> Float64[Tensor, "*batch mask"]:
    """The Shapley interaction index of orders 1 to k: discrete derivatives, averaged over orders of arrival.

    That of T is the sum over S containing T of I(S) / (|S| - |T| + 1). Of order 1 it is the Shapley value.

    Raises:
        ValueError: an order that is not from 1 to the number of players.

    Source: Grabisch and Roubens 1999.

    >>> sii(torch.tensor([0.0, 1.0, 2.0, 2.0]), 2).tolist()
    [0.0, 2.0, 3.0, 2.0]
    """
    return _of_groups(effects, k, lambda order, size: 1 / (size - order + 1))


def stii(effects: Float[Tensor, "*batch mask"], k: int) -> Float64[Tensor, "*batch mask"]:
    """The Shapley-Taylor interaction index of order k, whose orders 1 to k add up to the whole gain.

    Below order k it is the AND effect; at order k each effect of that order or above is shared equally among
    its subsets of k players.

    Raises:
        ValueError: an order that is not from 1 to the number of players.

    Source: Sundararajan, Dhamdhere and Agarwal 2020, arXiv 1902.05622.

    >>> stii(torch.tensor([0.0, 1.0, 2.0, 2.0]), 1).tolist()
    [0.0, 2.0, 3.0, 0.0]
    """

    def weight(order: int, size: int) -> float:
        return 1 / comb(size, k) if order == k else float(order == size)

    return _of_groups(effects, k, weight)


def fsii(effects: Float[Tensor, "*batch mask"], k: int) -> Float64[Tensor, "*batch mask"]:
    """The faithful Shapley interaction index: the closest sum of effects of orders up to k.

    Closest in least squares, a mask of s of n players weighing 1 / (C(n, s) s (n - s)), and exact for none
    and for all of the players. Effects up to order k are kept, and those above shared among their subsets.

    Raises:
        ValueError: an order that is not from 1 to the number of players.

    Source: Tsai, Yeh and Ravikumar 2023, arXiv 2203.00870.

    >>> fsii(torch.tensor([0.0, 1.0, 2.0, 2.0]), 1).tolist()
    [0.0, 2.0, 3.0, 0.0]
    """

    def weight(order: int, size: int) -> float:
        if size <= k:
            return float(order == size)
        sign = -1 if (k - order) % 2 else 1
        share = order / (k + order) * comb(k, order)
        return sign * share * comb(size - 1, k) / comb(size + k - 1, k + order)

    return _of_groups(effects, k, weight)


def _of_players(
    effects: Float[Tensor, "*batch mask"], weight: Callable[[int], float]
) -> Float64[Tensor, "*batch player"]:
    """For each player the effects it takes part in, weighted by their number of players."""
    n = n_players(effects)
    low = n // 2
    weighted = effects.double() * _of_sizes(n, weight)
    table = weighted.reshape(*weighted.shape[:-1], 2 ** (n - low), 2**low)
    return torch.cat([table.sum(-2) @ _bits(low), table.sum(-1) @ _bits(n - low)], -1)


def _of_groups(
    effects: Float[Tensor, "*batch mask"], k: int, weight: Callable[[int, int], float]
) -> Float64[Tensor, "*batch mask"]:
    """For each mask of 1 to k players the effects of its supersets, weighted by both orders."""
    n = n_players(effects)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= n:
        raise ValueError(f"the order k must be a whole number from 1 to the {n} players, got {k!r}")
    sizes, of_orders = orders(n), range(1, k + 1)
    rows = [[weight(order, size) if size >= order else 0.0 for size in range(n + 1)] for order in of_orders]
    weighted = effects.double().unsqueeze(-2) * torch.tensor(rows, dtype=torch.float64)[:, sizes]
    summed = sum_supersets(weighted)
    of_own_order = (sizes - 1).clamp(0, k - 1).expand(*effects.shape[:-1], 1, -1)
    found = summed.gather(-2, of_own_order).squeeze(-2)
    return found.masked_fill_((sizes == 0) | (sizes > k), 0.0)


def _equal_share(size: int) -> float:
    return 1 / size


def _share_of_pivots(size: int) -> float:
    return 2.0 ** (1 - size)


@functools.lru_cache(maxsize=8)
def _of_sizes(n: int, weight: Callable[[int], float]) -> Float64[Tensor, " mask"]:
    return torch.tensor([0.0, *map(weight, range(1, n + 1))], dtype=torch.float64)[orders(n)]


@functools.lru_cache(maxsize=32)
def _bits(n: int) -> Float64[Tensor, "mask player"]:
    return all_masks(n).double()
