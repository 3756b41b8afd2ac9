from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from conceptscope.analyses import checkpoints, patch_module
from conceptscope.hooks import capture, load_model, next_token_logits
from conceptscope.worlds import tinyworld

TEXTS = ["the dog was", "anna is not"]


def test_both_directions_take_one_module_and_leave_the_rest() -> None:
    run = checkpoints("tinyworld")
    early, late = run.load(0), run.load(3906)
    before = [{name: t.clone() for name, t in model.hf.state_dict().items()} for model in (early, late)]
    for model, other in ((early, late), (late, early)):
        patched = patch_module(model, other, "model.embed_tokens")
        for name, weights in patched.hf.named_parameters(remove_duplicate=False):
            source = other if name == "model.embed_tokens.weight" else model
            assert torch.equal(weights, source.hf.state_dict()[name]), name
        ours, theirs = (capture(one, TEXTS, "embed")["embed"] for one in (patched, other))
        assert torch.equal(ours, theirs)
    for model, weights in zip((early, late), before, strict=True):
        assert all(torch.equal(t, weights[name]) for name, t in model.hf.state_dict().items())


def test_the_patched_model_computes_as_by_hand() -> None:
    run = checkpoints("tinyworld")
    early, late = run.load(577), run.load(3906)
    patched = patch_module(early, late, "model.layers.1.mlp")
    by_hand = load_model(str(tinyworld.checkpoints_path() / "step00577"))
    by_hand.hf.model.layers[1].mlp.load_state_dict(late.hf.model.layers[1].mlp.state_dict())
    logits = next_token_logits(patched, TEXTS)
    assert torch.equal(logits, next_token_logits(by_hand, TEXTS))
    assert not torch.equal(logits, next_token_logits(early, TEXTS))


def test_plain_modules() -> None:
    early, late = (nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)) for _ in range(2))
    patched = patch_module(early, late, "1")
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(patched(x), late[1](early[0](x)))


@pytest.mark.architectures("gpt2")
def test_refuses(tiny: Callable[..., Any], architecture: str) -> None:
    one, other = load_model(), tiny(architecture)
    with pytest.raises(KeyError, match=r"no module 'model\.embed': did you mean 'model\.embed_tokens'"):
        patch_module(one, one, "model.embed")
    with pytest.raises(ValueError, match="the name is empty"):
        patch_module(one, one, "")
    with pytest.raises(TypeError, match="must be of one kind, got HookedModel and Linear"):
        patch_module(one, nn.Linear(1, 1), "model")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="lm_head has parameters of other shapes in the two models"):
        patch_module(one, other, "lm_head")
    with pytest.raises(ValueError, match="is on a bridge: load it with backend='torch'"):
        patch_module(one, tiny(architecture, "bridge"), "lm_head")
