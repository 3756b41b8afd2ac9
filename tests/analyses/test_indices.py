"""Indices from the Moebius vector, beside their definitions and shapiq."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from conceptscope.analyses._game import all_masks
from conceptscope.analyses._indices import banzhaf, fsii, shapley, sii, stii
from conceptscope.analyses._moebius import moebius, orders

Index = Callable[[Tensor, int], Tensor]
N = 5
OF_GROUPS = [sii, stii, fsii]


def _values(n: int = N, *batch: int) -> Tensor:
    return torch.randn(*batch, 2**n, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _derivative(values: Tensor, group: int, others: int) -> float:
    """What the group adds to the others beyond what its parts add."""
    return sum(
        (-1) ** (group.bit_count() - part.bit_count()) * float(values[others | part])
        for part in range(len(values))
        if part & ~group == 0
    )


def _averaged(values: Tensor, group: int, weight: Callable[[int], float]) -> float:
    """Derivatives at all masks without the group, weighted by the number of their players."""
    masks = [mask for mask in range(len(values)) if not mask & group]
    return sum(weight(mask.bit_count()) * _derivative(values, group, mask) for mask in masks)


def test_shapley_values_are_gains_averaged_over_orders_of_arrival() -> None:
    values = _values()
    gains = torch.zeros(N, dtype=torch.float64)
    for order in itertools.permutations(range(N)):
        mask = 0
        for player in order:
            gains[player] += values[mask | 1 << player] - values[mask]
            mask |= 1 << player
    torch.testing.assert_close(shapley(moebius(values)), gains / math.factorial(N), rtol=0, atol=1e-12)


def test_banzhaf_values_are_gains_averaged_over_masks() -> None:
    values = _values()
    expected = [_averaged(values, 1 << player, lambda size: 0.5 ** (N - 1)) for player in range(N)]
    assert banzhaf(moebius(values)).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("group", [0b1, 0b110, 0b10101, 0b11111])
def test_shapley_interactions_are_averaged_derivatives(group: int) -> None:
    values, order = _values(), group.bit_count()

    def weight(size: int) -> float:
        ways = math.factorial(size) * math.factorial(N - size - order)
        return ways / math.factorial(N - order + 1)

    found = sii(moebius(values), N)[group]
    assert float(found) == pytest.approx(_averaged(values, group, weight), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_shapley_taylor_is_derivatives_at_nothing_and_averaged_ones_on_top(k: int) -> None:
    values = _values()
    found = stii(moebius(values), k)
    for mask in range(1, 2**N):
        order = mask.bit_count()
        if order < k:
            expected = _derivative(values, mask, 0)
        else:
            expected = _averaged(values, mask, lambda size: k / N / math.comb(N - 1, size))
        assert float(found[mask]) == pytest.approx(expected if order <= k else 0, abs=1e-12)


def _faithful(values: Tensor, k: int) -> Tensor:
    """Weighted least squares with the empty and the full mask as constraints, by its KKT system."""
    sizes = orders(N)
    kept = (sizes <= k).nonzero()[:, 0]
    masks = torch.arange(2**N)
    design = (kept & ~masks[:, None] == 0).double()
    ends, inner = torch.tensor([0, 2**N - 1]), torch.arange(1, 2**N - 1)
    chances = [1 / (math.comb(N, s) * s * (N - s)) for s in sizes[inner].tolist()]
    weighted = design[inner].T * torch.tensor(chances, dtype=torch.float64)
    top = torch.cat([weighted @ design[inner], design[ends].T], 1)
    bottom = torch.cat([design[ends], torch.zeros(2, 2, dtype=torch.float64)], 1)
    wanted = torch.cat([weighted @ values[inner], values[ends]])
    solution = torch.linalg.solve(torch.cat([top, bottom]), wanted)[: len(kept)]
    found = torch.zeros(2**N, dtype=torch.float64)
    found[kept] = solution
    found[0] = 0
    return found


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_faithful_interactions_are_the_weighted_least_squares_fit(k: int) -> None:
    values = _values()
    torch.testing.assert_close(fsii(moebius(values), k), _faithful(values, k), rtol=0, atol=1e-11)


@pytest.mark.parametrize("k", range(1, N + 1))
@pytest.mark.parametrize("index", [stii, fsii])
def test_efficient_indices_add_up_to_the_whole_gain(index: Index, k: int) -> None:
    values = _values()
    found = index(moebius(values), k)
    assert float(found.sum()) == pytest.approx(float(values[-1] - values[0]), abs=1e-12)


@pytest.mark.parametrize("index", OF_GROUPS)
def test_order_one_is_the_shapley_value(index: Index) -> None:
    effects = moebius(_values())
    torch.testing.assert_close(index(effects, 1)[1 << torch.arange(N)], shapley(effects), rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", [stii, fsii])
def test_with_all_orders_the_effects_themselves_remain(index: Index) -> None:
    effects = moebius(_values())
    found = index(effects, N)
    assert float(found[0]) == 0
    torch.testing.assert_close(found[1:], effects[1:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", OF_GROUPS)
def test_games_may_come_together(index: Index) -> None:
    effects = moebius(_values(N, 2, 3))
    torch.testing.assert_close(index(effects, 2)[1, 2], index(effects[1, 2], 2), rtol=0, atol=1e-14)
    torch.testing.assert_close(shapley(effects)[1, 2], shapley(effects[1, 2]), rtol=0, atol=1e-14)
    assert banzhaf(effects).shape == (2, 3, N)


@pytest.mark.parametrize(
    ("name", "index", "tolerance"),
    [
        ("SII", sii, 1e-12),
        ("STII", stii, 1e-12),
        ("FSII", fsii, 1e-8),  # theirs fits the constraints by great weights, and is off by 1e-9 itself
    ],
)
def test_shapiq_finds_the_same_indices(name: str, index: Index, tolerance: float) -> None:
    shapiq = pytest.importorskip("shapiq")
    values, k = _values(), 3
    game = lambda coalitions: values.numpy()[coalitions @ (1 << torch.arange(N)).numpy()]  # noqa: E731
    theirs = shapiq.ExactComputer(game, N)(name, order=k)
    ours = index(moebius(values), k)
    compared = 0
    for members, place in theirs.interaction_lookup.items():
        if members:
            mask = sum(1 << player for player in members)
            assert float(ours[mask]) == pytest.approx(theirs.values[place], abs=tolerance)
            compared += 1
    assert compared == int((all_masks(N).sum(1) <= k).sum()) - 1


@pytest.mark.parametrize("k", [0, -1, N + 1, 2.0, True])
@pytest.mark.parametrize("index", OF_GROUPS)
def test_refuses_an_order_out_of_range(index: Index, k: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the {N} players, got {k}"):
        index(moebius(_values()), k)


@pytest.mark.parametrize("index", [shapley, banzhaf, lambda effects: sii(effects, 1)])
def test_refuses_a_length_that_is_no_power_of_two(index: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match="no power of two"):
        index(torch.zeros(6))
