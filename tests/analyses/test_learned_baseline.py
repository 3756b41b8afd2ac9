"""Learned baselines: the loss goes down, the same every time, and the loss is the paper's."""

import pytest
import torch

from conceptscope.analyses._baseline_learning import _loss, _quadruples, learn
from conceptscope.analyses._baselines import fixed_baseline
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._learned_baseline import learned_baseline
from conceptscope.analyses._moebius import moebius
from conceptscope.analyses._players import Players
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import played, text_game

TEXT = "the dog was not happy and the old cat"


def test_the_loss_goes_down_and_is_kept(world):
    begun = [played(world, TEXT, LogOdds("happy"), "words", None, fixed_baseline(world, "mean"))]
    found = learn(begun, 20, torch.Generator().manual_seed(0))
    assert len(found.losses) == 3
    assert min(found.losses) < 0.7 * found.losses[0]
    assert found.name.startswith("an embedding learned in 20 steps (loss ")


def test_it_is_the_same_every_time_and_leaves_the_model_alone(world):
    before = {name: value.clone() for name, value in world.hf.state_dict().items()}
    one, again, other = (
        learned_baseline(world, [TEXT, "she was never happy"], LogOdds("happy"), steps=10, generator=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.embedding, again.embedding)
    assert one.losses == again.losses
    assert not torch.equal(one.embedding, other.embedding)
    assert all(torch.equal(value, before[name]) for name, value in world.hf.state_dict().items())
    assert all(parameter.grad is None for parameter in world.hf.parameters())


def test_the_loss_is_what_the_interactions_across_two_coalitions_add_up_to(world):
    """v(12+3) - v(1+3) - v(2+3) + v(3) is the sum of all AND effects that meet both S1 and S2."""
    begun = fixed_baseline(world, "mean")
    forwards, players = played(world, TEXT, LogOdds("happy"), "words", None, begun)
    drawn = _quadruples(players, 6, torch.Generator().manual_seed(3))
    effects = moebius(text_game(world, TEXT, LogOdds("happy")).all_values())[0]
    masks = all_masks(len(players.labels))
    both, one, other, _ = drawn
    first, second = both & ~other, both & ~one
    across = [
        effects[(masks & a).any(1) & (masks & b).any(1) & (masks & ~c == 0).all(1)].sum().abs()
        for a, b, c in zip(first, second, both, strict=True)
    ]
    with torch.inference_mode():
        found = _loss((forwards, players), drawn, begun.embedding)
    assert found == pytest.approx(float(torch.stack(across).mean()), abs=1e-3)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_drawn_coalitions_are_disjoint_and_of_one_to_three_players(n):
    players = Players(tuple(map(str, range(n))), tuple((i,) for i in range(n)))
    both, one, other, neither = _quadruples(players, 200, torch.Generator().manual_seed(0))
    first, second = both & ~other, both & ~one
    assert not (first & second).any()
    assert torch.equal(both, one | other)
    assert torch.equal(neither, one & other)
    for sizes in (first.sum(1), second.sum(1)):
        assert sizes.min() == 1
        assert sizes.max() == min(3, n // 2)


def test_a_game_with_it_says_so_and_can_be_given_it_again(world):
    game = text_game(world, "she was not happy", LogOdds("happy"), baseline="learned", generator=1)
    assert game.baseline.startswith("an embedding learned in 50 steps")
    again = text_game(world, "she was not happy", LogOdds("happy"), baseline=game.replacement)
    assert torch.equal(game.all_values(), again.all_values())


def test_one_player_or_a_target_without_gradients_is_refused(world):
    with pytest.raises(ValueError, match="two players"):
        text_game(world, "it was happy", LogOdds("happy"), baseline="learned")
    with pytest.raises(ValueError, match="without gradients"):
        text_game(world, TEXT, lambda logits: logits[:, 0].detach(), baseline="learned")
