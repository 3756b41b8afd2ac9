from __future__ import annotations

import pytest
import torch

from conceptscope.analyses._fourier_fit import Fourier
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._moebius import moebius
from conceptscope.analyses._sparse_moebius import and_effects, family, subsets, to_moebius

SUPPORTS = ((), (1,), (0, 3), (1, 2, 4), (0, 1, 2, 3, 4, 5))
COEFFICIENTS = torch.tensor([1.0, -2.0, 0.5, 3.0, 0.25], dtype=torch.float64)


def test_effects_are_the_moebius_transform_of_the_values():
    true = moebius(Fourier(SUPPORTS, COEFFICIENTS).values(all_masks(6)))
    found = torch.zeros(64, dtype=torch.float64)
    for players, effect in and_effects(SUPPORTS, COEFFICIENTS).items():
        found[sum(1 << player for player in players)] = effect
    torch.testing.assert_close(found, true)


def test_effects_that_cancel_are_left_out():
    """One AND of three players is made of all eight products of signs."""
    supports = tuple(subsets((1, 4, 6)))
    weights = torch.tensor([(-1) ** len(support) / 8 for support in supports], dtype=torch.float64)
    effects, matrix = to_moebius(supports, weights)
    assert effects == [(1, 4, 6)]
    assert matrix.shape == (1, 8)
    assert and_effects(supports, weights) == pytest.approx({(1, 4, 6): 1.0})


def test_a_family_has_every_subset_once_and_smaller_ones_first():
    assert family(((1, 2), (2, 3))) == [(), (1,), (2,), (3,), (1, 2), (2, 3)]
