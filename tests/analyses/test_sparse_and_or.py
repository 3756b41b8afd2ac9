from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from conceptscope.analyses._game import all_masks
from conceptscope.analyses._sparse_and_or import sparse_and_or
from conceptscope.analyses._sparse_moebius import subsets


def or_as_ands(players, value):
    return {chosen: -((-1) ** len(chosen)) * value for chosen in subsets(players)[1:]}


def added(*parts):
    total: dict[tuple[int, ...], float] = {}
    for part in parts:
        for players, value in part.items():
            total[players] = total.get(players, 0.0) + value
    return total


def test_planted_ands_and_ors_are_found():
    effects = added({(): 2.0, (0, 1): 1.5}, or_as_ands((1, 2, 3), -2.0), or_as_ands((7, 9), 1.0), {(4,): 0.5})
    found = sparse_and_or(effects)
    assert found.and_effects == pytest.approx({(): 2.0, (0, 1): 1.5, (4,): 0.5})
    assert found.or_effects == pytest.approx({(1, 2, 3): -2.0, (7, 9): 1.0})
    assert found.objective == pytest.approx(5.0)
    assert 0 <= found.gap + 1e-12 < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_is_that_of_the_program_over_all_masks(seed):
    rng = np.random.default_rng(seed)
    masks = all_masks(4).numpy()
    effects = {tuple(np.flatnonzero(mask).tolist()): float(rng.normal()) for mask in masks}
    found = sparse_and_or(effects)
    sets = [tuple(np.flatnonzero(mask).tolist()) for mask in masks[1:]]
    ands = np.stack([masks[1:][:, list(chosen)].all(1) for chosen in sets], 1).astype(float)
    ors = np.stack([masks[1:][:, list(chosen)].any(1) for chosen in sets], 1).astype(float)
    values = ands @ np.array([effects[chosen] for chosen in sets])
    atoms = np.hstack([ands, ors, -ands, -ors])
    assert found.objective == pytest.approx(linprog(np.ones(60), A_eq=atoms, b_eq=values).fun)
    assert found.bound == pytest.approx(found.objective)
    rebuilt = sum(
        value * ands[:, sets.index(chosen)] for chosen, value in found.and_effects.items() if chosen
    )
    rebuilt += sum(value * ors[:, sets.index(chosen)] for chosen, value in found.or_effects.items())
    np.testing.assert_allclose(rebuilt, values, atol=1e-9)


def test_single_players_and_nobody_are_ands():
    found = sparse_and_or({(): 1.0, (2,): -3.0})
    assert found.and_effects == {(): 1.0, (2,): -3.0}
    assert (found.or_effects, found.objective, found.gap) == ({}, 3.0, 0.0)


def test_no_effects_at_all():
    assert sparse_and_or({}).objective == 0
