"""What games of a text have in common, on a game whose values are sums."""

import pytest
import torch

from conceptscope.analyses._game import EXACT, all_masks
from conceptscope.analyses._played_text import PlayedText, a_few


class Sums(PlayedText):
    """Each player adds a power of two, so that a coalition's value is its number."""

    path = "by hand"

    def __init__(self, n: int, text: str = "a text") -> None:
        self.text, self.tokens = text, ()
        self.players, self.targets = tuple(f"player {i}" for i in range(n)), ("number",)
        self.baseline = "nothing"

    def _values(self, masks, done):
        done(len(masks))
        return (masks.double() @ 2.0 ** torch.arange(len(self.players)).double())[None]


class Guessed(Sums):
    """A game that has a shorter way to all of its values."""

    def _all_values(self, masks, done):
        return torch.full((1, len(masks)), 7.0, dtype=torch.float64)


def test_a_columns_number_says_who_is_present():
    told = []
    assert Sums(4).all_values(told.append).tolist() == [list(range(16))]
    assert told == [16]
    assert Sums(4).n_targets == 1


def test_a_shorter_way_is_for_all_coalitions_alone():
    game = Guessed(2)
    assert game.all_values().tolist() == [[7.0] * 4]
    assert game.values(all_masks(2)).tolist() == [[0.0, 1.0, 2.0, 3.0]]


def test_what_is_no_coalition_is_refused_before_anything_is_computed():
    with pytest.raises(ValueError, match=r"of shape \(mask, 3\)"):
        Sums(3).values(torch.ones(2, 4).bool())
    with pytest.raises(ValueError, match="budget="):
        Sums(EXACT + 1).all_values()


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_a_few_masks_have_the_first_and_the_last_among_them(n):
    few = a_few(all_masks(n))
    assert {0, 2**n - 1} <= set(few.tolist()) <= set(range(2**n))
    assert len(few) == 4


def test_a_long_text_is_cut_in_the_repr():
    assert repr(Sums(2)) == "Sums('a text', 2 players, by hand)"
    assert repr(Sums(2, "x" * 50)) == f"Sums('{'x' * 37}...', 2 players, by hand)"
