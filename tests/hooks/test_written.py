from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.hooks._batches import pad
from conceptscope.hooks._generate import open_prompts
from conceptscope.hooks._written import with_written

Tiny = Callable[..., Any]


@torch.no_grad()
@pytest.mark.architectures("gpt2", "llama", "opt", "bloom")
def test_each_text_reads_as_if_it_were_alone(architecture: str, tiny: Tiny, sentences: list[str]) -> None:
    model = tiny(architecture)
    prompts, written = open_prompts(model, sentences[:3]), [[10, 11, 12], [], [13]]
    batch = pad(model, prompts, side="left")
    inputs = with_written(batch, written)
    width = inputs["input_ids"].shape[1] - 3
    logits = model.hf(**inputs, use_cache=False).logits
    for row, (prompt, tokens) in enumerate(zip(prompts, written, strict=True)):
        ids = [*prompt.ids, *tokens]
        alone = model.hf(torch.tensor([ids]), use_cache=False).logits[0]
        assert torch.allclose(logits[row, batch.starts[row] : width + len(tokens)], alone, atol=1e-4)


def test_nothing_written_leaves_the_batch_as_it_is(tiny: Tiny, sentences: list[str]) -> None:
    batch = pad(tiny("gpt2"), open_prompts(tiny("gpt2"), sentences[:3]), side="left")
    for name, tensor in with_written(batch, [[], [], []]).items():
        assert torch.equal(tensor, batch.inputs[name])
