"""Interactions in a real pretrained encoder, beside transformers with words taken out by hand."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

import conceptscope as cs
from conceptscope.analyses._game import all_masks
from conceptscope.worlds import contrast

TEXT = "The soup was not good at all, and cold."
WORDS = ["soup", "not", "good", "cold"]
LAYER = 4


@pytest.fixture(scope="module")
def states(minilm_folder):
    """Hidden states at every layer (layer + 1, mask, position, d), one forward pass a mask."""
    tokenizer = hf.AutoTokenizer.from_pretrained(minilm_folder)
    model = hf.AutoModel.from_pretrained(minilm_folder).eval()
    encoded = tokenizer(TEXT, return_tensors="pt")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0])
    embed = model.get_input_embeddings()
    found = []
    with torch.inference_mode():
        for mask in all_masks(len(WORDS)):
            x = embed(encoded["input_ids"]).clone()
            for present, word in zip(mask, WORDS, strict=True):
                if not present:
                    x[0, tokens.index(word)] = embed.weight.mean(0)
            outputs = model(inputs_embeds=x, output_hidden_states=True)
            found.append(torch.stack(outputs.hidden_states)[:, 0])
    return torch.stack(found, 1)


@pytest.fixture(scope="module")
def sentiment(minilm):
    data = cs.Examples(**contrast.examples("sentiment"), name="sentiment")
    return cs.MeanDifference().fit(cs.capture(minilm, data, f"resid_post.{LAYER}", position="mean"))


def test_the_words_behind_a_probes_verdict(minilm, states, sentiment):
    found = cs.interactions(minilm, TEXT, sentiment, players=WORDS)
    means = states[LAYER + 1, :, 1:-1].mean(1)
    torch.testing.assert_close(found.values, sentiment.read(means)[:, 0].double(), atol=1e-4, rtol=0)
    assert found.matching_error() <= 1e-9
    assert found.path.startswith("batches")
    assert f"resid_post.{LAYER}" in found.target


def test_a_verdict_at_one_token(minilm, states, sentiment):
    data = cs.Examples(**contrast.examples("sentiment"), name="sentiment")
    at_first = cs.MeanDifference().fit(cs.capture(minilm, data, f"resid_post.{LAYER}", position="first"))
    found = cs.interactions(minilm, TEXT, [at_first, sentiment], players=WORDS, method="and-or")
    first = at_first.read(states[LAYER + 1, :, 1])[:, 0].double()
    torch.testing.assert_close(found[0].values, first, atol=1e-4, rtol=0)
    assert float((found[0].values - found[1].values).abs().max()) > 0.1
    assert all(one.matching_error() <= 1e-9 for one in found)


def test_what_makes_two_sentences_similar(minilm, minilm_folder, states):
    other = "The meal was bad."
    tokenizer = hf.AutoTokenizer.from_pretrained(minilm_folder)
    encoded = tokenizer(other, return_tensors="pt")
    with torch.inference_mode():
        mean = hf.AutoModel.from_pretrained(minilm_folder).eval()(**encoded).last_hidden_state[0].mean(0)
    found = cs.interactions(minilm, TEXT, cs.Similarity(other), players=WORDS)
    cosines = torch.cosine_similarity(states[-1].mean(1), mean, dim=-1)
    torch.testing.assert_close(found.values, cosines.double(), atol=1e-5, rtol=0)
    assert float(found.values.max() - found.values.min()) > 0.1
