"""Transforms over subsets, beside sums written out and shapiq."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from conceptscope.analyses._moebius import moebius, n_players, or_effects, or_values, orders, zeta


def _values(n: int, *batch: int) -> Tensor:
    return torch.randn(*batch, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)


def _subsets(mask: int) -> Iterator[int]:
    return (other for other in range(mask + 1) if other & ~mask == 0)


def _sign(mask: int, subset: int) -> int:
    return (-1) ** (mask.bit_count() - subset.bit_count())


def _moebius_by_hand(values: Tensor) -> list[float]:
    return [
        sum(_sign(mask, subset) * float(values[subset]) for subset in _subsets(mask))
        for mask in range(len(values))
    ]


def _or_by_hand(values: Tensor) -> list[float]:
    whole = len(values) - 1
    effects = [
        -sum(_sign(mask, subset) * float(values[whole & ~subset]) for subset in _subsets(mask))
        for mask in range(len(values))
    ]
    return [float(values[0]), *effects[1:]]


@pytest.mark.parametrize("n", range(7))
def test_the_effects_are_signed_sums_over_subsets(n: int) -> None:
    values = _values(n)
    assert moebius(values).tolist() == pytest.approx(_moebius_by_hand(values), abs=1e-12)
    assert or_effects(values).tolist() == pytest.approx(_or_by_hand(values), abs=1e-12)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_or_effects_act_where_any_player_is_present(n: int) -> None:
    effects = _values(n)
    expected = [
        float(effects[0]) + sum(float(effects[other]) for other in range(1, 2**n) if other & mask)
        for mask in range(2**n)
    ]
    assert or_values(effects).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("there", "back"), [(moebius, zeta), (or_effects, or_values)])
def test_the_transforms_are_inverses(
    there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]
) -> None:
    values = _values(12)
    torch.testing.assert_close(back(there(values)), values, rtol=0, atol=1e-11)
    torch.testing.assert_close(there(back(values)), values, rtol=0, atol=1e-9)


@pytest.mark.parametrize("transform", [moebius, zeta, or_effects, or_values])
def test_leading_axes_are_games_of_their_own(transform: Callable[[Tensor], Tensor]) -> None:
    values = _values(4, 2, 3)
    before = values.clone()
    found = transform(values.transpose(0, 1))
    assert found.shape == (3, 2, 16)
    assert torch.equal(found[2, 1], transform(values[1, 2]))
    assert torch.equal(values, before)


@pytest.mark.parametrize("transform", [moebius, zeta, or_effects, or_values])
def test_arithmetic_is_in_float64(transform: Callable[[Tensor], Tensor]) -> None:
    values = _values(5).float()
    assert transform(values).dtype == torch.float64
    assert torch.equal(transform(values), transform(values.double()))


def test_twenty_players() -> None:
    effects = torch.zeros(2**20, dtype=torch.float64)
    effects[[0, 3, 2**19, 2**20 - 1]] = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    values = zeta(effects)
    assert values[[0, 1, 3, 2**19, 2**20 - 1]].tolist() == [1.0, 1.0, -1.0, 4.0, 2.5]
    assert torch.equal(moebius(values), effects)


def test_orders_count_the_players_of_a_mask() -> None:
    assert orders(6).tolist() == [mask.bit_count() for mask in range(64)]
    assert orders(0).tolist() == [0]


def test_shapiq_finds_the_same_effects() -> None:
    shapiq = pytest.importorskip("shapiq")
    values = _values(6)
    game = lambda coalitions: values.numpy()[coalitions @ (1 << torch.arange(6)).numpy()]  # noqa: E731
    theirs = shapiq.ExactComputer(game, 6)("Moebius")
    ours = moebius(values)
    for members, index in theirs.interaction_lookup.items():
        mask = sum(1 << player for player in members)
        assert float(ours[mask]) == pytest.approx(theirs.values[index], abs=1e-10)


@pytest.mark.parametrize("shape", [(6,), (2, 0), ()])
def test_refuses_a_length_that_is_no_power_of_two(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no power of two"):
        n_players(torch.zeros(shape))
    with pytest.raises(ValueError, match="no power of two"):
        moebius(torch.zeros(shape))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_refuses_values_that_are_not_finite(bad: float) -> None:
    with pytest.raises(ValueError, match="1 of 4 values are NaN or infinite"):
        zeta(torch.tensor([0.0, bad, 1.0, 2.0]))
