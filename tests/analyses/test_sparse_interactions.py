"""The verb with a budget, beside all masked inputs."""

import numpy as np
import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._game import all_masks

TEXT = "oddly the small red dog near the shops was not happy. it"
TARGET = cs.LogitDifference("cried", "smiled")


@pytest.fixture(scope="module")
def tinyworld():
    return cs.load_model("tinyworld")


@pytest.fixture(scope="module")
def exact(tinyworld):
    return cs.interactions(tinyworld, TEXT, TARGET, fixed=["the"], noise=False)


@pytest.fixture(scope="module")
def sparse(tinyworld):
    return cs.interactions(tinyworld, TEXT, TARGET, fixed=["the"], budget=400)


def test_the_held_out_share_is_that_of_all_masked_inputs(exact, sparse):
    assert sparse.players == exact.players
    n = len(exact.players)
    assert 2**n > 400
    surrogate = sparse.surrogate.values(all_masks(n))
    left = exact.values - surrogate
    explained = 1 - float(left.var(correction=0) / exact.values.var(correction=0))
    fit = sparse.surrogate.fit
    assert fit.low - 0.05 < explained < fit.high + 0.05
    assert explained > 0.8


def test_its_shapley_values_are_those_of_the_surrogate(sparse):
    everybody = torch.ones(1, len(sparse.players)).bool()
    gain = float(sparse.surrogate.values(everybody) - sparse.surrogate.values(~everybody))
    assert sum(sparse.shapley().values()) == pytest.approx(gain)


@pytest.mark.parametrize("method", ["and", "or", "and-or"])
def test_every_method_adds_up_to_the_surrogate(tinyworld, sparse, method):
    found = cs.interactions(tinyworld, TEXT, TARGET, fixed=["the"], budget=400, method=method)
    masks = all_masks(len(found.players))[::37]
    total = torch.zeros(len(masks), dtype=torch.float64)
    for kind, effects in found.effects.items():
        for who, value in effects.items():
            present = masks[:, list(who)]
            acts = present.all(1) if kind == "and" or not who else present.any(1)
            total += value * acts
    torch.testing.assert_close(total, sparse.surrogate.values(masks), atol=1e-5, rtol=0)


def test_more_players_than_are_exact(tinyworld):
    text = " ".join(["the dog was not happy. it smiled."] * 4) + " it"
    found = cs.interactions(tinyworld, text, TARGET, players="tokens", fixed=["."], budget=300)
    assert len(found.players) > 20
    assert isinstance(found, cs.SparseInteractions)
    assert -1 < found.surrogate.r2 <= 1


def test_a_budget_for_all_masks_computes_all(tinyworld):
    found = cs.interactions(tinyworld, "the dog was not happy. it", TARGET, budget=10_000)
    assert isinstance(found, cs.Interactions)


def test_what_a_reader_sees(sparse):
    frame = sparse.to_frame()
    assert {"kind", "order", "players", "effect", "low", "high", "salient"} <= set(frame.columns)
    assert frame.effect.abs().is_monotonic_decreasing
    assert (frame.low <= frame.high).all()
    assert len(sparse.magnitudes) == len(frame[frame.effect != 0])
    assert "held-out R²" in repr(sparse)
    assert "held out" in sparse._repr_html_()
    assert sparse.plot().get_xlabel().startswith("effect on")
    assert np.allclose([abs(one.value) for one in sparse.strongest(3)], frame.effect.abs()[:3])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 20}, "too small for 10 players: give at least 100"),
        ({"budget": 400, "method": "and-or", "noise_share": 0.04}, "noise_share= is for all masks"),
    ],
)
def test_what_cannot_be_done_is_refused(tinyworld, settings, message):
    with pytest.raises(ValueError, match=message):
        cs.interactions(tinyworld, TEXT, TARGET, fixed=["the"], **settings)
