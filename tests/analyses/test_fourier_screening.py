from __future__ import annotations

import torch

from conceptscope.analyses._fourier_screening import (
    MAX_ORDER,
    characters,
    expected,
    player_powers,
    screen,
    signs,
    solved,
)
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._sparse_moebius import subsets


def drawn(n, n_masks, seed=0):
    return signs(torch.rand(n_masks, n, generator=torch.Generator().manual_seed(seed)) < 0.5)


def test_characters_are_orthonormal_over_all_coalitions():
    made = characters(signs(all_masks(6)), subsets(tuple(range(6))))
    torch.testing.assert_close(made.T @ made / 64, torch.eye(64, dtype=torch.float64))


def test_what_a_chain_of_supports_leads_to_is_found():
    chain = [(4,), (4, 11), (4, 11, 17), (4, 11, 17, 23)]
    players = drawn(30, 600)
    values = characters(players, chain).sum(1)
    assert set(chain) <= set(screen(players, values, 100))


def test_no_support_comes_twice_or_has_too_many_players():
    players = drawn(10, 900)
    found = screen(players, torch.tanh(players.sum(1)) + players.prod(1), 300)
    assert len(found) == len(set(found)) == 300
    assert all(tuple(sorted(set(support))) == support for support in found)
    assert max(map(len, found)) <= MAX_ORDER


def test_the_search_ends_when_nothing_is_left():
    players = drawn(40, 300)
    assert screen(players, torch.full((300,), 2.5, dtype=torch.float64), 100) == []
    assert len(screen(players, players[:, 3], 100)) < 20


def test_of_few_players_it_ends_with_all_supports():
    found = screen(drawn(3, 100), drawn(20, 100, seed=1)[:, 0], 50)
    assert sorted(found) == sorted(subsets((0, 1, 2))[1:])


def test_powers_add_up_the_terms_of_a_player():
    powers = player_powers([(0,), (0, 2)], torch.tensor([1.0, 2.0], dtype=torch.float64), 4)
    torch.testing.assert_close(powers, torch.tensor([1.0, 0.0, 0.8, 0.0], dtype=torch.float64))
    assert player_powers([], torch.zeros(0, dtype=torch.float64), 3).tolist() == [1, 1, 1]


def test_more_is_expected_of_fewer_and_of_stronger_players():
    powers = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    sizes = expected([(), (0,), (1,), (0, 1), (0, 1, 2)], powers).tolist()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 1


def test_normal_equations_are_solved_also_where_a_column_comes_twice():
    columns, values = drawn(8, 50), drawn(1, 50, seed=3)[:, 0]
    weights = solved(columns.T @ columns, columns.T @ values)
    torch.testing.assert_close(weights, torch.linalg.lstsq(columns, values[:, None]).solution[:, 0])
    twice = torch.cat([columns, columns], 1)
    halves = solved(twice.T @ twice, twice.T @ values)
    torch.testing.assert_close(twice @ halves, columns @ weights, rtol=1e-5, atol=1e-5)
