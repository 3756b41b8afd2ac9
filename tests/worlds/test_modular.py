"""Circles of numbers, and the network that adds on them."""

import pytest
import torch

from conceptscope.worlds import modular


def circles(p: int, *frequencies: int) -> torch.Tensor:
    angle = 2 * torch.pi * torch.arange(p) / p
    return torch.stack([wave(f * angle) for f in frequencies for wave in (torch.cos, torch.sin)], 1)


def test_turning_all_circles_moves_every_number_to_the_next() -> None:
    table = torch.randn(11, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(modular.rotated(table, 3, range(1, 6)), table.roll(-3, 0))


def test_turning_some_circles_leaves_the_others() -> None:
    table = circles(13, 2, 5) + 1
    turned = modular.rotated(table, 4, [5])
    torch.testing.assert_close(turned[:, :2], table[:, :2])
    torch.testing.assert_close(turned[:, 2:], table[:, 2:].roll(-4, 0))
    back = modular.rotated(turned, -4, [5])
    torch.testing.assert_close(back, table)


def test_powers_are_shares_of_the_variance() -> None:
    table = torch.cat([2 * circles(13, 3), circles(13, 6)], 1) + 5
    found = modular.powers(table)
    torch.testing.assert_close(found, torch.tensor([0, 0, 0.8, 0, 0, 0.2]), atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def run() -> modular.ModularRun:
    return modular.train(7, steps=250, width=32)


def test_a_short_training_learns_its_sums_and_is_the_same_again(run: modular.ModularRun) -> None:
    first, second = run, modular.train(7, steps=250, width=32)
    right = first.answers() == first.sums
    assert right[first.trained].double().mean() > 0.95
    assert torch.equal(first.model.embedding, second.model.embedding)
    assert int(first.trained.sum()) == 44
    assert 0 <= first.accuracy <= 1


def test_answers_take_other_embeddings_for_either_number(run: modular.ModularRun) -> None:
    table = run.model.embedding
    moved = run.answers(table.roll(-2, 0)).view(7, 7)
    assert torch.equal(moved, run.answers().view(7, 7).roll(-2, 0))
    assert torch.equal(run.answers(second=table.roll(-2, 0)).view(7, 7), run.answers().view(7, 7).roll(-2, 1))


@pytest.mark.parametrize("change", [{"p": 2}, {"steps": 0}, {"width": 0}, {"spread": 0.0}, {"share": 1.0}])
def test_refusals(change: dict) -> None:
    with pytest.raises(ValueError, match="p must be 3 or more"):
        modular.train(**change)


def test_unknown_frequencies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"7 numbers have the frequencies 1 to 3, and not \[4\]"):
        modular.rotated(torch.ones(7, 2), 1, [1, 4])
