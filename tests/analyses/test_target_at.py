"""Targets with an activation put at a site, beside whole forward passes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.analyses import ClassLogOdds, LogitDifference, LogOdds, Similarity, target_at
from conceptscope.hooks import Examples, capture, load_model, next_token_logits
from conceptscope.probes import MeanDifference

WORDS = ["dog", "dogs", "cat", "cats", "car", "cars"]
TEXTS = [f"the {word}" for word in WORDS]


def test_a_texts_own_activation_gives_its_target() -> None:
    model = load_model("tinyworld")
    logits = next_token_logits(model, TEXTS).double()
    was, were = model.tokenizer.convert_tokens_to_ids(["was", "were"])
    rows = capture(model, TEXTS, "resid_post.1")["resid_post.1"]
    expected = {
        LogitDifference("was", "were"): logits[:, was] - logits[:, were],
        LogOdds("were"): torch.logit(logits.softmax(1)[:, were]),
        largest: logits.max(1).values,
    }
    for target, values in expected.items():
        found = target_at(model, "resid_post.1", "the onion", target, batch_size=4)(rows)
        torch.testing.assert_close(found, values, atol=1e-3, rtol=1e-3)


def largest(logits: torch.Tensor) -> torch.Tensor:
    return logits.max(1).values


def test_a_concept_is_read_further_up() -> None:
    model = load_model("tinyworld")
    acts = capture(model, Examples(TEXTS, ["one", "many"] * 3), ["resid_post.1", "resid_post.3"])
    concept = MeanDifference().fit(acts, "resid_post.3")
    found = target_at(model, "resid_post.1", "the onion", concept)(acts["resid_post.1"])
    expected = concept.read(acts["resid_post.3"])[:, 0].double()
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.architectures("gpt2", "bert")
def test_a_classifiers_target_is_that_of_its_head(
    architecture: str, build: Callable[..., tuple[Any, Any]]
) -> None:
    name = {"gpt2": "GPT2ForSequenceClassification", "bert": "BertForSequenceClassification"}[architecture]
    hf, tokenizer = build(architecture, name)
    hf.config.pad_token_id = hf.config.pad_token_id or 0
    model = load_model(hf, tokenizer=tokenizer)
    text = "The rain was cold."
    row = capture(model, [text], "resid_post.0", position="last")["resid_post.0"]
    with torch.inference_mode():
        logits = model.hf(**model.tokenizer(text, return_tensors="pt")).logits.double()
    found = target_at(model, "resid_post.0", text, ClassLogOdds(1))(row)
    torch.testing.assert_close(found, torch.logit(logits.softmax(1)[:, 1]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (LogOdds(["was", "not"]), "a map is of one target, read at one token"),
        (Similarity("the dog"), "a map is of one target, read at one token"),
        ([LogOdds("was"), LogOdds("were")], "a map is of one target, read at one token"),
        (LogOdds("the dog"), "is 2 tokens"),
    ],
)
def test_refusals(target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        target_at(load_model("tinyworld"), "resid_post.1", "the dog", target)


def test_rows_of_another_width_are_refused() -> None:
    model = load_model("tinyworld")
    function = target_at(model, "resid_post.1", "the dog", LogOdds("was"))
    with pytest.raises(ValueError, match="cannot take the place of those at resid_post"):
        function(torch.zeros(2, 3))
    with pytest.raises(TypeError, match="a target is LogOdds"):
        target_at(model, "resid_post.1", "the dog", 3)
