"""The sparsity theorem's conditions, beside the formulas written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from conceptscope.analyses._conditions import conditions
from conceptscope.analyses._moebius import moebius, orders, zeta


def _power_game(n: int, power: float, scale: float = 1.0) -> Tensor:
    return 3.0 + scale * orders(n).double() ** power


def _game(n: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_a_game_that_grows_as_a_power_has_its_degree(power: float) -> None:
    values = _power_game(6, power)
    found = conditions(values, moebius(values))
    assert found.degree == pytest.approx(power, abs=1e-12)
    assert found.is_monotone
    assert found.is_polynomial
    assert found.mean_gain.tolist() == pytest.approx([size**power for size in range(7)], abs=1e-12)


def test_the_highest_order_is_that_of_a_salient_effect() -> None:
    effects = torch.zeros(32, dtype=torch.float64)
    effects[[0b1, 0b110, 0b11111]] = torch.tensor([2.0, -1.0, 0.05], dtype=torch.float64)
    values = zeta(effects)
    assert conditions(values, effects).highest_order == 2
    assert conditions(values, effects, tau=0.025).highest_order == 5
    assert conditions(values, effects).n_salient == (1, 1, 0, 0, 0)


def test_figures_are_the_formulas() -> None:
    values = _game()
    effects, sizes = moebius(values), orders(6)
    found = conditions(values, effects, tau=0.3)
    greatest = float(effects[1:].abs().max())
    for order in range(1, 7):
        chosen = effects[sizes == order]
        gain = float((values[sizes == order] - values[0]).mean())
        assert float(found.mean_gain[order]) == pytest.approx(gain, abs=1e-12)
        net_share = float(chosen.sum() / chosen.abs().sum())
        assert found.net_share[order - 1] == pytest.approx(net_share, abs=1e-12)
        assert found.n_salient[order - 1] == int((chosen.abs() >= 0.3 * greatest).sum())
        paper = abs(float(chosen.sum())) / (0.3 * greatest * abs(net_share))
        assert found.bound[order - 1] == pytest.approx(paper, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tau", [0.01, 0.05, 0.5, 1.0])
def test_no_order_has_more_salient_effects_than_its_bound(seed: int, tau: float) -> None:
    values = _game(seed=seed)
    found = conditions(values, moebius(values), tau=tau)
    assert all(n <= bound for n, bound in zip(found.n_salient, found.bound, strict=True))
    assert sum(found.n_salient) >= 1


def test_the_empty_masks_value_plays_no_part() -> None:
    values = _game().abs()
    values[0] = 0.0
    shifted = values + 100
    one, other = conditions(values, moebius(values)), conditions(shifted, moebius(shifted))
    assert one.n_salient == other.n_salient
    assert one.degree == pytest.approx(other.degree, abs=1e-9)


def test_a_gain_that_falls_is_not_monotone() -> None:
    values = torch.tensor([0.0, 3.0, 3.0, 2.0])
    found = conditions(values, moebius(values))
    assert not found.is_monotone
    assert found.degree == pytest.approx(math.log2(2 / 3))


def test_a_jump_after_a_plateau_is_not_polynomial() -> None:
    values = torch.tensor([0.0, 1.0, 1.0, 8.0])[orders(3)]
    found = conditions(values, moebius(values))
    assert found.degree == pytest.approx(math.log(8, 3))
    assert found.is_monotone
    assert found.is_polynomial is False


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([0.0, -1.0, -1.0, 5.0], "the mean gain of one player is -1, not positive"),
        ([2.0, 2.0, 2.0, 2.0], "the mean gain of one player is 0, not positive"),
        ([0.0, 1.0, 1.0, -5.0], "no mean gain of two players or more is positive"),
        ([0.0, 1.0], "fewer than two players"),
        ([1.0], "fewer than two players"),
    ],
)
def test_where_there_is_no_degree_it_says_why(values: list[float], why: str) -> None:
    game = torch.tensor(values)
    found = conditions(game, moebius(game))
    assert found.degree is None
    assert found.is_polynomial is None
    assert found.why_no_degree == why
    assert why in repr(found)


def test_a_game_without_effects() -> None:
    values = torch.full((8,), 2.0)
    found = conditions(values, moebius(values))
    assert found.highest_order == 0
    assert found.n_salient == (0, 0, 0)
    assert found.bound == (0.0, 0.0, 0.0)
    assert found.net_share == (None, None, None)
    assert found.is_monotone


def test_the_frame_has_a_row_for_each_order() -> None:
    values = _power_game(3, 2.0)
    frame = conditions(values, moebius(values)).to_frame()
    assert frame["order"].tolist() == [1, 2, 3]
    assert list(frame.columns) == ["order", "mean_gain", "net_share", "salient", "bound"]
    assert frame["salient"].tolist() == [3, 3, 0]


@pytest.mark.parametrize("tau", [0.0, -0.1, 1.1, math.nan])
def test_refuses_a_tau_that_is_no_share(tau: float) -> None:
    with pytest.raises(ValueError, match="tau is a share of the greatest effect"):
        conditions(torch.zeros(4), torch.zeros(4), tau=tau)


def test_refuses_lengths_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="8 effects do not go with 4 values"):
        conditions(torch.zeros(4), torch.zeros(8))
    with pytest.raises(ValueError, match="no power of two"):
        conditions(torch.zeros(6), torch.zeros(6))
