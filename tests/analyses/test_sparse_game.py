from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from conceptscope.analyses._game import all_masks, nothing
from conceptscope.analyses._moebius import moebius
from conceptscope.analyses._sparse_game import least_budget, sparse_interactions
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import text_game

PLANTED = [(21, 1500, 8, 3), (64, 2000, 12, 3), (300, 3000, 20, 3), (1000, 4004, 6, 2)]


class PlantedGame:
    """n players, and each target a function of the coalitions as floats, [mask, player] to [mask]."""

    def __init__(self, n: int, *targets: Callable[[Tensor], Tensor]) -> None:
        self.players = tuple(f"p{i}" for i in range(n))
        self.n_targets = len(targets)
        self._targets = targets

    def values(self, masks: Tensor, done: Callable[[int], Any] = nothing) -> Tensor:
        done(len(masks))
        return torch.stack([target(masks.double()) for target in self._targets])

    def all_values(self, done: Callable[[int], Any] = nothing) -> Tensor:
        return self.values(all_masks(len(self.players)), done)


def sum_of_ands(effects: dict[tuple[int, ...], float]) -> Callable[[Tensor], Tensor]:
    """The values of AND effects."""
    return lambda masks: sum(
        (value * masks[:, list(players)].prod(1) for players, value in effects.items()),
        start=torch.zeros(len(masks), dtype=torch.float64),
    )


def random_effects(n: int, n_effects: int, max_order: int, seed: int) -> dict[tuple[int, ...], float]:
    """AND effects of random players, between 1 and 3 in magnitude, and of nobody."""
    drawn = random.Random(seed)
    effects = {(): 0.5}
    while len(effects) <= n_effects:
        players = tuple(sorted(drawn.sample(range(n), drawn.randint(1, max_order))))
        effects[players] = drawn.choice((-1, 1)) * drawn.uniform(1, 3)
    return effects


@pytest.mark.parametrize(("n", "budget", "n_effects", "max_order"), PLANTED)
def test_sparse_effects_are_recovered_exactly(n, budget, n_effects, max_order):
    true = random_effects(n, n_effects, max_order, seed=n)
    (found,) = sparse_interactions(PlantedGame(n, sum_of_ands(true)), budget)
    assert found.effects == pytest.approx(true, abs=1e-7)
    assert set(found.effects) == set(true)
    assert found.r2 == pytest.approx(1)
    assert found.ends[1][0] == pytest.approx(found.ends[1][1], abs=1e-6)


def test_what_leaves_no_trace_in_smaller_sets_is_not_found_and_r2_says_so():
    def parity(masks):
        return masks[:, 0] + (1 - 2 * masks[:, [3, 5, 8]]).prod(1)

    (found,) = sparse_interactions(PlantedGame(200, parity), 1000)
    assert not any({3, 5, 8} <= set(support) for support in found.supports)
    assert found.fit.high < 0.4


def test_of_few_players_the_effects_are_near_those_of_all_coalitions():
    def smooth(masks):
        return torch.tanh(masks[:, :4].sum(1) - 2) + 0.3 * masks[:, 4] * masks[:, 5] + masks[:, 9]

    game = PlantedGame(12, smooth)
    (found,) = sparse_interactions(game, 1500)
    values = game.all_values()[0]
    true = moebius(values)
    assert found.r2 > 0.999
    for players, effect in found.effects.items():
        assert effect == pytest.approx(float(true[sum(1 << i for i in players)]), abs=0.05)


def test_r2_is_that_of_other_coalitions_and_lies_in_its_interval():
    game = PlantedGame(30, noisy(1.0))
    (found,) = sparse_interactions(game, 2000)
    masks = torch.rand(4000, 30, generator=torch.Generator().manual_seed(5)) < 0.5
    values = game.values(masks)[0]
    other = 1 - float((values - found.values(masks)).square().mean() / values.var(correction=0))
    assert found.fit.low < found.r2 < found.fit.high
    assert found.fit.low - 0.02 < other < found.fit.high + 0.02
    assert found.fit.n_fitted + found.fit.n_held_out + 2 == 2000


def noisy(size):
    """Two known effects, and noise that is a fixed function of the coalition."""

    def value(masks):
        code = masks @ torch.linspace(1, 2, masks.shape[1], dtype=torch.float64)
        noise = size * math.sqrt(2) * torch.sin(1e4 * code)
        return 2 * masks[:, 0] + 3 * masks[:, 1] * masks[:, 2] + noise

    return value


def test_intervals_hold_the_true_effects_as_often_as_they_say():
    """Of effects that are there and of those that the screening took for one."""
    inside = []
    for seed in range(25):
        (found,) = sparse_interactions(PlantedGame(24, noisy(2.0)), 500, generator=seed)
        true = {(0,): 2.0, (1, 2): 3.0}
        inside += [low < true.get(s, 0.0) < high for s, (low, high) in found.intervals.items() if s]
    assert len(inside) > 100
    assert 0.9 < sum(inside) / len(inside) < 0.99


def test_the_same_seed_gives_the_same_result_and_targets_share_their_coalitions():
    first, second = sum_of_ands({(0,): 1.0, (1, 2): 2.0}), sum_of_ands({(3,): -1.0})
    told = []
    both = sparse_interactions(PlantedGame(25, first, second), 400, generator=7, done=told.append)
    assert sum(told) == 400
    (alone,) = sparse_interactions(PlantedGame(25, first), 400, generator=7)
    torch.testing.assert_close(alone.coefficients, both[0].coefficients)
    assert both[1].effects == pytest.approx({(3,): -1.0})


def test_a_constant_game_has_its_value_and_no_effects():
    (found,) = sparse_interactions(PlantedGame(25, sum_of_ands({(): 4.0})), 200)
    assert found.effects == {(): 4.0}
    assert found.shapley() == {}


def test_indices_add_up_to_the_surrogate_at_everybody():
    true = random_effects(40, 10, 3, seed=1)
    (found,) = sparse_interactions(PlantedGame(40, sum_of_ands(true)), 1000)
    gain = found.ends[1][1] - found.ends[0][1]
    assert sum(found.shapley().values()) == pytest.approx(gain)
    assert sum(found.stii(2).values()) == pytest.approx(gain)
    assert found.and_or().objective <= sum(abs(v) for s, v in found.effects.items() if s) + 1e-9


def test_the_frame_and_the_words():
    (found,) = sparse_interactions(PlantedGame(25, sum_of_ands({(): 1.0, (0,): 2.0, (1, 2): -3.0})), 400)
    frame = found.to_frame()
    assert frame.players.tolist() == ["p1 & p2", "p0", "(nobody)"]
    assert frame.order.tolist() == [2, 1, 0]
    assert repr(found).startswith("SparseEffects(25 players, 3 effects, held-out R² 1.000 [1.000, 1.000]")


def test_what_cannot_be_done_is_refused():
    def zeros(masks):
        return masks.sum(1) * 0

    with pytest.raises(ValueError, match=f"too small for 40 players: give at least {least_budget(40)}"):
        sparse_interactions(PlantedGame(40, zeros), 150)
    with pytest.raises(ValueError, match="8 players have 256: leave the budget out"):
        sparse_interactions(PlantedGame(8, zeros), 300)
    with pytest.raises(ValueError, match="1000 players at most, got 1001"):
        sparse_interactions(PlantedGame(1001, zeros), 5000)
    with pytest.raises(ValueError, match="400 of 400 values of the game are NaN or infinite"):
        sparse_interactions(PlantedGame(30, lambda masks: masks.sum(1) / 0 - math.inf), 400)


def test_of_a_models_game_r2_is_that_over_all_coalitions(world):
    text = "anna and the small dog were not very happy in the old park"
    game = text_game(world, text, LogOdds("."), players="tokens", fixed=["the", "and"])
    (found,) = sparse_interactions(game, 600)
    values = game.all_values()[0]
    left = values - found.values(all_masks(len(game.players)))
    assert found.fit.low - 0.02 < 1 - float(left.square().mean() / values.var()) < found.fit.high + 0.02
