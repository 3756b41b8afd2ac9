"""AND-OR effects beside linear programmes, and their certificate."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from conceptscope.analyses._and_or import AndOr, and_or
from conceptscope.analyses._moebius import moebius, or_effects, or_values, orders, zeta


def _planted(n: int, n_effects: int = 6, noise: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Values of some AND and OR effects of order 2 to 4, and these."""
    drawn = torch.Generator().manual_seed(seed)
    sizes = orders(n)
    able = ((sizes >= 2) & (sizes <= 4)).nonzero()[:, 0]
    planted = torch.zeros(2, 2**n, dtype=torch.float64)
    for effects in planted:
        masks = able[torch.randperm(len(able), generator=drawn)[:n_effects]]
        effects[masks] = 1 + torch.rand(n_effects, generator=drawn, dtype=torch.float64)
    values = 2 + zeta(planted[0]) + or_values(planted[1])
    return values + noise * torch.randn(2**n, generator=drawn, dtype=torch.float64), *planted


def _power(*rows: tuple[float, float], n: int) -> np.ndarray:
    return functools.reduce(np.kron, [np.array(rows)] * n, np.ones((1, 1)))


def _least(values: Tensor, box: float = 0.0) -> float:
    """The optimum of the paper's programme, in the values themselves: AND and OR parts, and q of a box."""
    n = int(math.log2(len(values)))
    contains = _power((1, 0), (1, 1), n=n)[:, 1:]
    meets = 1 - _power((1, 1), (1, 0), n=n)[:, 1:]
    parts = np.hstack([contains, meets])[1:]
    gains = (values - values[0]).numpy()[1:]
    changed = -np.eye(len(gains))
    equal = np.hstack([parts, -parts, changed])
    n_parts = 2 * parts.shape[1]
    cost = np.concatenate([np.ones(n_parts), np.zeros(len(gains))])
    limits = [(0, None)] * n_parts + [(-box, box)] * len(gains)
    solved = linprog(cost, A_eq=equal, b_eq=gains, bounds=limits, method="highs")
    assert solved.status == 0
    return float(solved.fun)


def _magnitude(found: AndOr) -> float:
    return float(found.and_effects[1:].abs().sum() + found.or_effects.abs().sum())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("noise_share", [0.0, 0.04])
def test_the_sum_of_magnitudes_is_the_programmes_optimum(n: int, noise_share: float) -> None:
    values = torch.randn(2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    if n > 2:
        values = _planted(n, 4, noise=0.02)[0]
    box = noise_share * float((values[-1] - values[0]).abs())
    least, found = _least(values, box), and_or(values, noise_share=noise_share)
    assert least * (1 - 1e-8) <= found.objective <= least * 1.002
    assert found.bound <= least * (1 + 1e-8)
    assert found.gap <= 1e-3
    assert found.gap == pytest.approx(1 - found.bound / found.objective, abs=1e-12)


@pytest.mark.parametrize("noise_share", [0.0, 0.04, 0.3])
def test_the_effects_match_the_values_at_every_mask(noise_share: float) -> None:
    values = _planted(8, noise=0.05)[0]
    found = and_or(values, noise_share=noise_share, max_iterations=300)
    rebuilt = zeta(found.and_effects) + or_values(found.or_effects)
    spread = float(values.max() - values.min())
    assert float((rebuilt - values - found.noise).abs().max()) <= 1e-11 * spread
    assert float(found.noise.abs().max()) <= noise_share * float((values[-1] - values[0]).abs()) * (1 + 1e-12)
    assert float(found.noise[0]) == 0
    assert float(found.and_effects[0]) == pytest.approx(float(values[0]), abs=1e-12)
    assert found.objective == pytest.approx(_magnitude(found), rel=1e-9)


@pytest.mark.parametrize("n", [6, 10])
def test_planted_effects_are_recovered(n: int) -> None:
    values, of_and, of_or = _planted(n)
    found = and_or(values, noise_share=0.0, tolerance=1e-5)
    of_and[0] = 2.0
    torch.testing.assert_close(found.and_effects, of_and, rtol=0, atol=0.01)
    torch.testing.assert_close(found.or_effects, of_or, rtol=0, atol=0.01)


def test_an_or_is_one_effect_where_and_needs_many() -> None:
    effects = torch.zeros(64, dtype=torch.float64)
    effects[0b11111] = 1.0
    values = or_values(effects)
    assert int((moebius(values).abs() > 1e-9).sum()) == 31
    found = and_or(values, noise_share=0.0, tolerance=1e-6)
    assert found.objective == pytest.approx(1.0, abs=1e-5)
    assert float(found.or_effects[0b11111]) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_no_sum_is_greater_than_with_one_kind_alone(seed: int) -> None:
    values = torch.randn(2**6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = and_or(values, noise_share=0.0, max_iterations=1)
    assert found.bound <= found.objective
    alone = [moebius(values), or_effects(values)]
    assert found.objective <= min(float(effects[1:].abs().sum()) for effects in alone) * (1 + 1e-12)


def test_room_for_noise_makes_fewer_effects() -> None:
    values, of_and, of_or = _planted(7, noise=0.02)
    sums = [and_or(values, noise_share=share).objective for share in (0.0, 0.005, 0.02)]
    assert sums[0] > sums[1] > sums[2]
    box = float(0.02 * (values[-1] - values[0]).abs())
    assert sums[2] <= float((of_and + of_or).sum()) + box * 2 * 2**7


def test_effects_scale_with_the_values() -> None:
    values = _planted(5, noise=0.1)[0]
    one, great = and_or(values), and_or(values * 1e6)
    assert great.objective == pytest.approx(1e6 * one.objective, rel=1e-9)
    torch.testing.assert_close(great.or_effects, one.or_effects * 1e6, rtol=1e-6, atol=1e-2)


def test_single_players_act_by_and() -> None:
    values = _planted(6, noise=0.1)[0]
    found = and_or(values)
    assert float(found.or_effects[orders(6) <= 1].abs().max()) == 0


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0, 3.0, 3.0]])
def test_a_constant_has_no_effects(values: list[float]) -> None:
    found = and_or(torch.tensor(values))
    assert found.objective == found.bound == found.gap == 0
    assert float(found.and_effects[0]) == 3
    assert float(found.and_effects[1:].abs().sum() + found.or_effects.abs().sum()) == 0


def test_iterations_are_limited_and_the_gap_is_told() -> None:
    values = _planted(8, noise=0.3)[0]
    found = and_or(values, max_iterations=150, tolerance=1e-9)
    assert found.iterations == 150
    assert 1e-9 < found.gap < 1
    assert "and_effects" not in repr(found)


def test_values_stay_as_they_were() -> None:
    values = _planted(4)[0]
    before = values.clone()
    and_or(values)
    assert torch.equal(values, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise_share": -0.1}, "noise_share is a share"),
        ({"noise_share": 1.0}, "noise_share is a share"),
        ({"noise_share": math.nan}, "noise_share is a share"),
        ({"tolerance": 0.0}, "tolerance must be a positive gap"),
        ({"tolerance": math.nan}, "tolerance must be a positive gap"),
        ({"max_iterations": 0}, "max_iterations must be at least 1"),
    ],
)
def test_refuses_settings_without_a_meaning(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        and_or(torch.zeros(4), **settings)


def test_refuses_what_is_no_game() -> None:
    with pytest.raises(ValueError, match="no power of two"):
        and_or(torch.zeros(6))
    with pytest.raises(ValueError, match="NaN or infinite"):
        and_or(torch.tensor([0.0, math.nan]))
