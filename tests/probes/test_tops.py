from typing import Any

import pandas as pd
import pytest
import torch

from conceptscope.hooks import Activations
from conceptscope.probes import Concept


def test_tokens_are_those_whose_logits_rise_most(tiny: Any) -> None:
    model = tiny("gpt2")
    direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    concept = Concept(
        direction, steering=direction + 0.5, scale=[3.0], site="resid_post.1", model_name=model.name
    )
    unembedding = model.hf.get_output_embeddings()
    with torch.inference_mode():
        raised = unembedding(concept.vector) - unembedding(torch.zeros(model.d_model))
    expected = raised.argsort(descending=True)[:4]
    found = concept.top_tokens(model, k=4)
    assert [token for token, _ in found] == [model.tokenizer.decode([token]) for token in expected]
    assert [value for _, value in found] == pytest.approx(raised[expected].tolist(), rel=1e-4)
    assert len(concept.top_tokens(model, k=10**6)) == len(raised)


def test_tokens_refuse(tiny: Any) -> None:
    model = tiny("gpt2")
    d = model.d_model
    with pytest.raises(ValueError, match="belongs to the model 'other'"):
        Concept(torch.ones(d), site="embed", model_name="other").top_tokens(model)
    with pytest.raises(ValueError, match="has width 3, and the unembedding"):
        Concept(torch.ones(3), site="embed").top_tokens(model)
    with pytest.raises(ValueError, match=r"has 2 directions: take one of them, concept\[0\]"):
        Concept(torch.eye(d)[:2], site="embed").top_tokens(model)


def test_a_model_without_unembedding_is_refused(build: Any) -> None:
    from conceptscope.hooks import load_model

    hf, tokenizer = build("bert", "BertModel")
    with pytest.raises(ValueError, match="has no unembedding"):
        Concept(torch.ones(32), site="embed").top_tokens(load_model(hf, tokenizer=tokenizer))


def test_examples_with_the_highest_readings() -> None:
    acts = Activations(
        {"embed": torch.tensor([[1.0], [5.0], [3.0], [4.0]])},
        ["a", "b", "c", "d"],
        example=[0, 0, 1, 1],
        position=[0, 1, 0, 1],
    )
    found = Concept(torch.ones(1), site="embed").top_examples(acts, n=2)
    expected = pd.DataFrame(
        {"example": [0, 1], "position": [1, 1], "label": ["b", "d"], "reading": [5.0, 4.0]}
    )
    pd.testing.assert_frame_equal(found, expected)
    bare = Activations({"embed": torch.ones(3, 1)})
    assert list(Concept(torch.ones(1), site="embed").top_examples(bare).columns) == ["example", "reading"]
    with pytest.raises(ValueError, match="has 2 directions"):
        Concept(torch.ones(2, 1), site="embed").top_examples(bare)
