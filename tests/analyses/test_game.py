"""Coalitions as masks, and what is refused of them."""

import pytest
import torch

from conceptscope.analyses._game import EXACT, all_masks, check_exact, check_masks


def test_bit_i_of_a_masks_number_is_player_i():
    masks = all_masks(5)
    numbers = (masks * 2 ** torch.arange(5)).sum(1)
    assert numbers.tolist() == list(range(32))


def test_no_player_has_one_coalition():
    assert all_masks(0).shape == (1, 0)


def test_more_players_than_the_limit_are_refused_with_the_remedy():
    check_exact(EXACT)
    with pytest.raises(ValueError, match=r"21 players have 2\^21.*budget="):
        check_exact(21)


@pytest.mark.parametrize(
    "masks", [torch.ones(3, 2, dtype=torch.bool), torch.ones(3, 4), torch.ones(4).bool()]
)
def test_masks_of_another_shape_or_type_are_refused(masks):
    with pytest.raises(ValueError, match=r"booleans of shape \(mask, 4\)"):
        check_masks(masks, 4)
