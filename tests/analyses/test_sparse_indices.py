from __future__ import annotations

from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest

from conceptscope.analyses._sparse_indices import (
    sparse_banzhaf,
    sparse_fsii,
    sparse_shapley,
    sparse_sii,
    sparse_stii,
)

EFFECTS = {(): 1.0, (0,): 2.0, (3,): -1.0, (0, 1): 0.5, (1, 2, 3): 3.0, (0, 1, 2, 4): -2.0}
PLAYERS = range(5)


def value(coalition) -> float:
    return sum(effect for players, effect in EFFECTS.items() if set(players) <= set(coalition))


def derivative(chosen, coalition) -> float:
    """How the value changes with all of the chosen players together, others being present."""
    return sum(
        (-1) ** (len(chosen) - size) * value({*coalition, *part})
        for size in range(len(chosen) + 1)
        for part in combinations(chosen, size)
    )


def others(chosen):
    rest = [player for player in PLAYERS if player not in chosen]
    return [part for size in range(len(rest) + 1) for part in combinations(rest, size)]


def sets(k):
    return [chosen for size in range(1, k + 1) for chosen in combinations(PLAYERS, size)]


def test_shapley_is_the_mean_gain_over_all_orders():
    gains = dict.fromkeys(PLAYERS, 0.0)
    for order in permutations(PLAYERS):
        for at, player in enumerate(order):
            gains[player] += derivative((player,), order[:at]) / 120
    found = sparse_shapley(EFFECTS)
    assert [found[(player,)] for player in PLAYERS] == pytest.approx(list(gains.values()))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_sii_is_its_definition(k):
    found = sparse_sii(EFFECTS, k)
    for chosen in sets(k):
        n = 5 - len(chosen)
        true = sum(derivative(chosen, part) / ((n + 1) * comb(n, len(part))) for part in others(chosen))
        assert found.get(chosen, 0.0) == pytest.approx(true)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_banzhaf_is_the_mean_derivative(k):
    found = sparse_banzhaf(EFFECTS, k)
    for chosen in sets(k):
        true = np.mean([derivative(chosen, part) for part in others(chosen)])
        assert found.get(chosen, 0.0) == pytest.approx(true)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_stii_is_its_definition(k):
    found = sparse_stii(EFFECTS, k)
    for chosen in sets(k):
        if len(chosen) < k:
            true = derivative(chosen, ())
        else:
            true = k / 5 * sum(derivative(chosen, part) / comb(4, len(part)) for part in others(chosen))
        assert found.get(chosen, 0.0) == pytest.approx(true)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_fsii_is_the_best_polynomial_under_the_shapley_kernel(k):
    """Weighted least squares over all coalitions, exact at nobody and everybody."""
    masks = (np.arange(32)[:, None] >> np.arange(5) & 1).astype(float)
    chosen_sets = [(), *sets(k)]
    design = np.stack([masks[:, list(chosen)].prod(1) for chosen in chosen_sets], 1)
    true = np.array([value(np.flatnonzero(mask)) for mask in masks])
    sizes = masks.sum(1).astype(int)
    weights = np.array([1 / (comb(5, s) * s * (5 - s)) if 0 < s < 5 else 1e9 for s in sizes]) ** 0.5
    solution = np.linalg.lstsq(design * weights[:, None], true * weights, rcond=None)[0]
    found = sparse_fsii(EFFECTS, k)
    for chosen, expected in zip(chosen_sets[1:], solution[1:], strict=True):
        assert found.get(chosen, 0.0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("index", [sparse_sii, sparse_stii, sparse_fsii, sparse_banzhaf])
def test_an_order_below_one_is_refused(index):
    with pytest.raises(ValueError, match="at least 1, got 0"):
        index(EFFECTS, 0)
