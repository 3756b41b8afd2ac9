"""Texts that were generated, read again in one pass."""

from __future__ import annotations

from collections.abc import Sequence

from conceptscope.hooks._batches import batches, pad, pads
from conceptscope.hooks._inference import inference
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._prompts import Prompt
from conceptscope.hooks._running import Running, running
from conceptscope.hooks._written import with_written

_TOKENS = 4096


def reread(model: HookedModel, prompts: Sequence[Prompt], written: Sequence[Sequence[int]]) -> None:
    """Run the model over each prompt and the tokens written after it, the last one too.

    Interventions see them as generated tokens, and do what they did while these were written.
    """
    longest = max(len(prompt) + len(tokens) for prompt, tokens in zip(prompts, written, strict=True))
    with inference(model.hf):
        for rows in batches(prompts, max(1, _TOKENS // longest), equal=not pads(model, "left")):
            chosen = [prompts[row] for row in rows]
            batch = pad(model, chosen, side="left")
            inputs = with_written(batch, [written[row] for row in rows])
            state = Running(chosen, rows, batch.starts, generating=True)
            state.begin(0, inputs["input_ids"].shape[1])
            more = {"use_cache": False} if model.accepts("use_cache") else {}
            with running(model, state):
                model.body(**inputs, **more)
