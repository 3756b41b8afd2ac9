"""Interactions of many texts, beside counts by hand."""

from dataclasses import replace

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses import Interactions, InteractionStatistics
from conceptscope.analyses._decomposition import decompose
from conceptscope.analyses._moebius import zeta

MONOTONE = {0b001: 1.0, 0b010: 1.0, 0b100: 1.0}


def game(
    effects: dict[int, float], players: tuple[str, ...] = ("a", "b", "c"), target: str = "t"
) -> Interactions:
    vector = torch.zeros(8, dtype=torch.float64)
    for mask, value in effects.items():
        vector[mask] = value
    values = zeta(vector)
    return Interactions(
        players, values, decompose(values, "and"), target=target, baseline="none", path="by hand"
    )


def statistics(*results: Interactions, **settings: object) -> InteractionStatistics:
    return cs.interaction_statistics(results, **settings)


def test_counts_shares_and_degrees_are_means_over_texts():
    found = statistics(game(MONOTONE), game({0b001: 1.0, 0b010: -3.0}))
    assert found["players"].value == 3
    assert found["salient"].value == 2.5
    assert found["monotone"].value == 0.5
    assert found["degree"].n_texts <= 2
    assert found["unfaithfulness"].value == pytest.approx(0, abs=1e-20)


def test_intervals_of_shares_are_shares():
    found = statistics(*[game(MONOTONE)] * 4, game({0b001: 1.0, 0b010: 0.5}))
    for one in found.statistics:
        if one.name.startswith(("monotone", "transfer", "discrimination")):
            assert 0 <= one.low <= one.value <= one.high <= 1
    monotone = found["monotone"]  # all are; Wilson: z² / (n + z²) may not be
    assert (monotone.value, monotone.high) == (1, 1)
    assert monotone.low == pytest.approx(1 - 1.959964**2 / (5 + 1.959964**2), abs=1e-6)


def test_what_cannot_be_negative_has_no_negative_interval():
    many = dict.fromkeys(range(1, 8), 1.0)
    found = statistics(game(many), game({0b001: 100.0, 0b010: 1.0}))
    for name in ("salient", "bound", "unfaithfulness"):
        assert found[name].low == 0 < found[name].value < found[name].high
    assert found["degree"].low < 0 < found["degree"].high


def test_transfer_counts_the_other_texts_only():
    one, two, three = game({0b001: 1.0}), game({0b001: 2.0}), game({0b110: 5.0})
    found = statistics(one, two, three, largest=(1, 2))
    assert found["transfer(1)"].value == pytest.approx(2 / 3)  # a text's own interaction does not count
    assert statistics(one, three, largest=(5,))["transfer(5)"].value == 0


def test_of_equally_frequent_interactions_the_first_by_name_count():
    pairs = [game({0b011: 1.0}, (last, first, "-")) for last, first in ("za", "yb", "xc", "wd", "ve", "uf")]
    found = [statistics(one, *pairs, largest=(3,))["transfer(3)"].value for one in pairs]
    assert found == pytest.approx([2 / 7, 2 / 7, 2 / 7, 0, 0, 0])  # text and copy, of the first three


def test_players_are_told_by_their_words():
    found = statistics(game({0b011: 1.0}), game({0b110: 1.0}, ("x", "B", "A")), largest=(1,))
    assert found["transfer(1)"].value == 1


def test_discrimination_is_the_agreement_with_the_other_texts():
    agree = statistics(game({1: 1.0}), game({1: 2.0}), game({1: 0.5}))
    assert agree["discrimination"].value == 1
    mixed = statistics(game({1: 1.0}), game({1: -2.0}))
    assert mixed["discrimination"].value == 0
    alone = statistics(game({1: 1.0}), game({2: -2.0}))
    assert alone["discrimination"].value is None


def test_what_is_not_salient_makes_a_text_unfaithful():
    one = game({0b001: 1.0, 0b010: 0.04})
    found = statistics(one, one, tau=0.05)
    gains = one.values - one.values[0]
    left = (one.values - zeta(torch.tensor([0.0, 1.0, 0, 0, 0, 0, 0, 0]))) ** 2
    assert found["unfaithfulness"].value == pytest.approx(float(left.sum() / (gains**2).sum()))
    assert statistics(one, one, tau=0.01)["unfaithfulness"].value == pytest.approx(0, abs=1e-20)


def test_transfer_between_models_compares_the_same_texts():
    here = [game({1: 1.0, 2: 1.0}), game({1: 1.0})]
    there = [game({1: 1.0}), game({1: -1.0, 4: 2.0})]
    found = cs.interaction_statistics(here, there)
    assert found["between models"].value == pytest.approx(0.75)


def test_the_frame_has_intervals_and_the_picture_shares():
    found = statistics(*(game({1: 1.0, 2: float(n)}) for n in range(1, 9)))
    frame = found.to_frame()
    assert list(frame.columns) == ["name", "value", "low", "high", "n_texts"]
    known = frame.dropna()
    assert ((known.low <= known.value + 1e-12) & (known.value <= known.high + 1e-12)).all()
    labels = [label.get_text() for label in found.plot().get_yticklabels()]
    assert "transfer(5)" in labels
    assert "salient" not in labels
    assert "InteractionStatistics(t:" in repr(found)
    assert "discrimination" in found._repr_html_()


def test_the_same_seed_gives_the_same_intervals():
    results = [game({1: 1.0, 2: float(n)}) for n in range(1, 6)]
    one, two, other = (cs.interaction_statistics(results, generator=g).to_frame() for g in (0, 0, 1))
    assert one.equals(two)
    assert not one.equals(other)


def test_what_does_not_go_together_is_refused():
    one = game({1: 1.0})
    with pytest.raises(ValueError, match="at least two texts, got 1"):
        statistics(one)
    with pytest.raises(ValueError, match="several values of target"):
        statistics(one, game({1: 1.0}, target="u"))
    with pytest.raises(ValueError, match="several values of method"):
        statistics(one, one.as_method("or"))
    with pytest.raises(ValueError, match="other= has 1 results and results has 2"):
        cs.interaction_statistics([one, one], [one])
    with pytest.raises(ValueError, match="text 1 has other players"):
        cs.interaction_statistics([one, one], [one, replace(one, players=("x", "y", "z"))])
    with pytest.raises(KeyError, match="there is no statistic 'beta'"):
        statistics(one, one)["beta"]


def test_the_graph_has_a_node_for_each_interaction_and_every_player():
    found = game({0b011: 2.0, 0b100: -1.0})
    ax = cs.plot_interaction_graph(found)
    texts = [text.get_text() for text in ax.texts]
    assert {"a", "b", "c", "t", "&\n+2", "&\n-1"} <= set(texts)
    assert len(ax.lines) == 2 + 3  # each node to the target, and to its players
    with pytest.raises(ValueError, match="at least one interaction"):
        cs.plot_interaction_graph(found, n=0)
