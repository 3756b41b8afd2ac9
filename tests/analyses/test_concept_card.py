from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import conceptscope as cs

SITE = "resid_post.2"
SHORT = {"max_new_tokens": 2, "directions": 20}


@pytest.fixture(scope="module")
def card(
    world: cs.HookedModel, concept: cs.Concept, sentiment: cs.Examples, prompts: list[str]
) -> cs.ConceptCard:
    return cs.concept_card(world, concept, sentiment, prompts, **SHORT)


@pytest.fixture(scope="module")
def coin() -> cs.Examples:
    return cs.load_examples("tinyworld/coin")


@pytest.fixture(scope="module")
def coin_concept(world: cs.HookedModel, coin: cs.Examples) -> cs.Concept:
    return cs.MeanDifference().fit(cs.capture(world, coin, SITE))


def row(card: cs.ConceptCard, quantity: str) -> Any:
    frame = card.to_frame().set_index("quantity")
    return frame.loc[quantity]


def test_sentiment_is_read_and_used(card: cs.ConceptCard) -> None:
    assert (card.readable, card.steers) == (True, True)
    assert card.verdict.startswith("It can be read (AUROC 1.00 [0.")
    assert "and steers the model: from -2 to +2 sd along it, the log-odds of 'please'" in card.verdict
    assert "(p = 0.048)" in card.verdict


def test_a_coin_is_neither_shown_to_be_read_nor_used(
    world: cs.HookedModel, coin: cs.Examples, coin_concept: cs.Concept, prompts: list[str]
) -> None:
    card = cs.concept_card(world, coin_concept, coin, prompts, **SHORT)
    assert (card.readable, card.steers, card.measure) == (False, False, None)
    assert card.reading.auroc_low < 0.5 < card.reading.auroc_high
    assert card.verdict.startswith("It is neither shown to be readable (AUROC 0.")
    assert "the model goes on alike after the examples of both classes" in card.verdict
    assert {one.what for one in card.caused} == {"KL of add +2", "KL of add -2", "KL of erase"}


def test_a_label_that_is_read_and_does_not_matter_is_not_shown_to_be_used(
    world: cs.HookedModel, sentiment: cs.Examples, prompts: list[str], concept: cs.Concept
) -> None:

    def length(text: str) -> float:
        return 1.0

    card = cs.concept_card(world, concept, sentiment, prompts, measure=length, **SHORT)
    assert (card.readable, card.steers) == (True, False)
    assert "can be read (AUROC 1.00" in card.verdict
    assert "but is not shown to steer the model: from -2 to +2 sd along it, the length" in card.verdict
    assert "changes by 0.00" in card.verdict


def test_a_direction_with_a_wrong_label(
    world: cs.HookedModel, coin: cs.Examples, concept: cs.Concept, sentiment: cs.Examples, prompts: list[str]
) -> None:
    """The sentiment direction under the name of a coin: moving along it matters, its label is not read."""
    masked = replace(concept, classes=("heads", "tails"))
    card = cs.concept_card(world, masked, coin, prompts, measure=sentiment, **SHORT)
    assert (card.readable, card.steers) == (False, True)
    assert "not shown to be readable" in card.verdict
    assert card.verdict.endswith("so the direction carries something else than its label.")


def test_what_is_read_is_the_sweeps(
    card: cs.ConceptCard, sentiment_acts: cs.Activations, world: cs.HookedModel, sentiment: cs.Examples
) -> None:
    [score] = cs.sweep(cs.capture(world, sentiment, SITE), cs.MeanDifference()).scores
    assert (card.folds, card.reading.accuracy, card.reading.auroc) == (5, 1.0, 1.0)
    assert card.reading.auroc == score.auroc
    assert card.reading.selectivity == pytest.approx(score.selectivity, abs=0.05)
    selectivity, accuracy = row(card, "selectivity"), row(card, "accuracy")
    assert selectivity["value"] == pytest.approx(accuracy["value"] - accuracy["random"])
    assert selectivity["low"] == pytest.approx(accuracy["low"] - accuracy["random"])


def test_a_concept_that_was_loaded_is_tested_as_it_is(
    world: cs.HookedModel, sentiment: cs.Examples, prompts: list[str], tmp_path: Any
) -> None:
    train, test = sentiment.split(0.3)
    fitted = cs.Logistic().fit(cs.capture(world, train, SITE))
    fitted.save(tmp_path / "c.safetensors")
    loaded = cs.Concept.load(tmp_path / "c.safetensors")
    card = cs.concept_card(world, loaded, test, prompts, **SHORT)
    said = loaded.predict(cs.capture(world, test, SITE))
    right = np.mean([one == label for one, label in zip(said, test.labels or [], strict=True)])
    assert (card.folds, card.reading.accuracy) == (0, right)
    shares = [np.mean([one == label for one in said]) for label in loaded.classes]
    true = [np.mean([one == label for one in test.labels or []]) for label in loaded.classes]
    assert card.reading.shuffled == pytest.approx(np.dot(shares, true))
    anew = cs.concept_card(world, loaded, test, prompts, extractor=cs.Logistic(), folds=3, **SHORT)
    assert anew.folds == 3


def test_what_is_caused_is_the_dose_responses(
    card: cs.ConceptCard,
    world: cs.HookedModel,
    concept: cs.Concept,
    sentiment: cs.Examples,
    prompts: list[str],
) -> None:
    found = cs.dose_response(
        world, prompts, concept.add, [-2, 2], measure=sentiment, max_new_tokens=2, directions=1
    )
    down, up = found.doses
    for name, dose in (("add -2", down), ("add +2", up)):
        assert row(card, f"effect of {name}")["value"] == pytest.approx(dose.effect.value, abs=1e-4)
        assert row(card, f"KL of {name}")["value"] == pytest.approx(dose.kl.value, abs=1e-5)
    difference = row(card, "effect of adding less that of taking away")
    assert difference["value"] == pytest.approx(up.effect.value - down.effect.value, abs=1e-4)
    erased = cs.dose_response(
        world, prompts, lambda s: concept.erase(), [1], measure=sentiment, max_new_tokens=2, directions=1
    )
    assert row(card, "KL of erase")["value"] == pytest.approx(erased.doses[0].kl.value, abs=1e-5)
    assert row(card, "size of the effect of erase")["value"] >= abs(erased.doses[0].effect.value)


def test_turned_round_it_is_the_same(
    card: cs.ConceptCard,
    world: cs.HookedModel,
    concept: cs.Concept,
    sentiment: cs.Examples,
    prompts: list[str],
) -> None:
    """Up is then down, and so are the tokens that go with it."""
    turned = cs.concept_card(world, -concept, sentiment, prompts, extractor=cs.MeanDifference(), **SHORT)
    name = "effect of adding less that of taking away"
    assert row(turned, name)["value"] == pytest.approx(row(card, name)["value"], abs=1e-3)
    assert turned.reading.accuracy == card.reading.accuracy


def test_what_a_user_sees(card: cs.ConceptCard) -> None:
    from matplotlib.figure import Figure

    frame = card.to_frame()
    assert frame.columns.tolist() == [
        "quantity", "value", "low", "high", "random", "random_low", "random_high", "p"
    ]  # fmt: skip
    assert frame.quantity.tolist()[:3] == ["accuracy", "AUROC", "selectivity"]
    assert repr(card) == f"ConceptCard({card.concept!r}: {card.verdict})"
    html = card._repr_html_()
    assert "<b>It can be read" in html
    assert "400 examples (5 folds), 8 prompts" in html
    axes = card.plot(Figure().subplots())
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        quantity for quantity in frame.quantity if quantity != "selectivity"
    ]


def test_what_makes_no_card_is_refused(
    world: cs.HookedModel, concept: cs.Concept, sentiment: cs.Examples, coin: cs.Examples, prompts: list[str]
) -> None:
    def run(concept: Any = concept, examples: Any = sentiment, **settings: Any) -> None:
        cs.concept_card(world, concept, examples, prompts, **SHORT | settings)

    with pytest.raises(ValueError, match=r"with 18 random directions p cannot be \.05: give at least 19"):
        run(directions=18)
    for strength in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="strength must be positive and finite"):
            run(strength=strength)
    with pytest.raises(ValueError, match=r"tells 'positive' from 'negative', and .* labelled .*: give"):
        run(examples=coin)
    with pytest.raises(ValueError, match="labelled nothing"):
        run(examples=cs.Examples(["the dog"]))
    with pytest.raises(ValueError, match="has no classes"):
        run(concept=cs.Concept(torch.ones(128), site=SITE))
    many = cs.Concept(torch.eye(128)[:3], classes=("a", "b", "c"), site=SITE)
    with pytest.raises(ValueError, match=r"take one of them, concept\['a'\]"):
        run(concept=many)
