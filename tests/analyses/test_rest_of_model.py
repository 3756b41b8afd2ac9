"""The rest of a model beside whole forward passes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.analyses import convexity, rest_of_model
from conceptscope.hooks import HookedModel, capture, load_model, next_token_logits

LAST = ["dog", "dogs", "cat", "cats", "hammer", "hammers", "car", "cars"]
TEXTS = [f"the {word}" for word in LAST]
TOKENS = {"one": "was", "many": "were"}


@pytest.mark.parametrize("site", ["embed", "resid_post.1", "resid_post.-1"])
def test_next_words_are_those_of_whole_texts(site: str) -> None:
    """All texts begin like the prompt and have its length, so their own activation makes them of it."""
    model = load_model("tinyworld")
    ids = model.tokenizer.convert_tokens_to_ids(list(TOKENS.values()))
    expected = [list(TOKENS)[row.argmax()] for row in next_token_logits(model, TEXTS)[:, ids]]
    rows = capture(model, TEXTS, site)[site]
    predict = rest_of_model(model, site, "the onion", TOKENS, batch_size=3)
    assert predict(rows) == expected
    assert expected == ["one", "many"] * 4


@pytest.mark.architectures("gpt2", "bert")
def test_a_texts_own_activation_gives_its_class(
    architecture: str, build: Callable[..., tuple[Any, Any]]
) -> None:
    model = classifier(build, architecture)
    texts = ["The dog", "The rain was cold.", "She walked home.", "Nobody likes apples."]
    own = capture(model, texts, "resid_post.1", position="last")["resid_post.1"]
    for text, row in zip(texts, own, strict=True):
        with torch.inference_mode():
            number = int(model.hf(**model.tokenizer(text, return_tensors="pt")).logits.argmax())
        expected = model.hf.config.id2label[number]
        assert rest_of_model(model, "resid_post.1", text)(row[None]) == [expected]


def test_any_activation_at_the_last_layer_is_classed_by_the_head(
    build: Callable[..., tuple[Any, Any]],
) -> None:
    model = classifier(build, "gpt2")
    rows = torch.randn(20, model.d_model, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        numbers = model.hf.score(model.hf.transformer.ln_f(rows)).argmax(1).tolist()
    said = rest_of_model(model, "resid_post.-1", "The dog", batch_size=7)(rows)
    assert said == [model.hf.config.id2label[number] for number in numbers]
    assert len(set(said)) == 2


def classifier(build: Callable[..., tuple[Any, Any]], architecture: str) -> HookedModel:
    name = {"gpt2": "GPT2ForSequenceClassification", "bert": "BertForSequenceClassification"}[architecture]
    hf, tokenizer = build(architecture, name)
    hf.config.pad_token_id = hf.config.pad_token_id or 0
    return load_model(hf, tokenizer=tokenizer)


def test_it_serves_convexity() -> None:
    model = load_model("tinyworld")
    acts = capture(model, TEXTS, "resid_post.2").with_labels(["one", "many"] * 4)
    predict = rest_of_model(model, "resid_post.2", "the onion", TOKENS)
    found = convexity(acts, kind="euclidean", predict=predict, ci=None).sites[0]
    assert min(one.score for one in found.classes) > 0.8


def test_what_cannot_be_done_is_refused(build: Callable[..., tuple[Any, Any]]) -> None:
    model = load_model("tinyworld")
    with pytest.raises(ValueError, match=r"give tokens=\{label: token, ...\}"):
        rest_of_model(model, "embed", "the dog")
    with pytest.raises(ValueError, match="not in the vocabulary"):
        rest_of_model(model, "embed", "the dog", {"a": "zebra", "b": "was"})
    with pytest.raises(ValueError, match=r"resid_post\.9"):
        rest_of_model(model, "resid_post.9", "the dog", TOKENS)
    with pytest.raises(ValueError, match="batch_size must be"):
        rest_of_model(model, "embed", "the dog", TOKENS, batch_size=0)
    with pytest.raises(ValueError, match="cannot take the place"):
        rest_of_model(model, "embed", "the dog", TOKENS)(torch.ones(2, 3))
    labelled = classifier(build, "gpt2")
    with pytest.raises(ValueError, match="leave tokens out"):
        rest_of_model(labelled, "embed", "The dog", TOKENS)
