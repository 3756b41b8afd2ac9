from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.hooks._unembedding import unembedding

Tiny = Callable[..., Any]
IDS = torch.tensor([[10, 11, 12, 13], [14, 15, 16, 17]])


@torch.no_grad()
@pytest.mark.architectures("gpt2", "gemma2", "mamba", "bloom")
def test_logits_are_those_of_what_was_kept(architecture: str, tiny: Tiny) -> None:
    model = tiny(architecture)
    whole = model.hf(IDS).logits
    with unembedding(model.hf, lambda x: x[:, 1:3]):
        assert torch.allclose(model.hf(IDS).logits, whole[:, 1:3], atol=1e-5)
    assert torch.equal(model.hf(IDS).logits, whole)


def test_nothing_is_left_after_a_failure(tiny: Tiny) -> None:
    model = tiny("gpt2")
    head = model.hf.get_output_embeddings()

    def fail(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"), unembedding(model.hf, fail):
        model.hf(IDS)
    assert not head._forward_pre_hooks


def test_a_model_without_an_unembedding_runs_as_it_is(tiny: Tiny) -> None:
    body = tiny("gpt2").body
    with unembedding(body, lambda x: x[:, :1]), torch.no_grad():
        assert body(IDS).last_hidden_state.shape == (2, 4, 32)
