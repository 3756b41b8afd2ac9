"""How little training a capability needs."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from conceptscope.analyses._hidden_capability_target import Target
from conceptscope.hooks import Examples, HookedModel, generate
from conceptscope.hooks._batches import pad
from conceptscope.hooks._positions import prompt_positions
from conceptscope.hooks._prompts import Text, encode


def time_to_unlock(
    model: HookedModel,
    texts: Examples | Sequence[Text],
    target: Target,
    *,
    steps: int = 20,
    learning_rate: float = 1e-3,
    threshold: float = 0.8,
    max_new_tokens: int = 8,
) -> int | None:
    """After how many steps of fine-tuning on a few texts the target's prompts suffice; None for never.

    A capability that was hidden is unlocked sooner than one that must be learned: compare with texts, and a
    target, of which the opposite is true. Each step is one of AdamW on all texts, of a copy of the model;
    what is learned are the texts' spans, or, where they have none, all their tokens. 0 means that nothing
    was needed.

    target: prompts and criteria; what it says of training is not read.
    threshold: the share of prompts that must be answered with all concepts right.

    Raises:
        ValueError: steps, a learning rate or a threshold out of range, or a text without a token to learn
            after its first.

    >>> import conceptscope as cs
    >>> target = cs.Target(["the dog was"], {"mood": lambda text: text.strip() == "sad"})
    >>> texts = cs.Examples(["the dog was sad"], spans=[(12, 15)])
    >>> cs.time_to_unlock(cs.load_model("tinyworld"), texts, target, max_new_tokens=1)
    2
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps must be a whole number from 1 on, got {steps!r}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate!r}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold!r}")
    pupil = HookedModel(copy.deepcopy(model.hf), model.tokenizer, name=f"{model.name}, fine-tuned")
    optimizer = torch.optim.AdamW(pupil.hf.parameters(), lr=learning_rate)
    data = Examples.of(texts)
    for step in range(steps + 1):
        written = generate(pupil, target.prompts, max_new_tokens=max_new_tokens)
        if target.share_right(written) >= threshold:
            return step
        optimizer.zero_grad()
        _loss(pupil, data).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return None


def _loss(model: HookedModel, data: Examples) -> Tensor:
    """The mean cross-entropy of the tokens that are learned."""
    prompts = encode(model, data.texts, data.spans)
    batch = pad(model, prompts, side="right")
    logits = model.hf(**batch.inputs, use_cache=False).logits
    losses = []
    for row, prompt in enumerate(prompts):
        chosen = prompt_positions("span" if prompt.spans else "prompt", prompt, for_capture=True)
        learned = torch.tensor([index for index in chosen if index > 0], device=logits.device)
        if not len(learned):
            raise ValueError(f"text {row} has no token to learn after its first: give a longer one")
        wanted = torch.tensor(prompt.ids, device=logits.device)[learned]
        before = batch.starts[row] + learned - 1
        losses.append(torch.nn.functional.cross_entropy(logits[row, before], wanted, reduction="none"))
    return torch.cat(losses).mean()
