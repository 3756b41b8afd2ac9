"""Continuations of prompts, the same for a prompt whatever it is batched with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from conceptscope.hooks._batches import batches, pad, pads
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._inference import inference
from conceptscope.hooks._model import HookedModel, check_model
from conceptscope.hooks._prompts import Prompt, Text, context_length, encode
from conceptscope.hooks._random import drawn_seed
from conceptscope.hooks._running import Running, running
from conceptscope.hooks._streaming import Growing, OnToken, Streamer
from conceptscope.hooks._unembedding import unembedding


def generate(
    model: HookedModel,
    prompts: Examples | Sequence[Text],
    *,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    generator: int | torch.Generator = 0,
    on_token: OnToken | None = None,
) -> list[str]:
    """The continuation of each prompt, in the order given, until the model ends it or for so many tokens.

    prompts: texts, or chats as lists of messages, which the tokenizer's chat template renders.
    temperature: 0 takes the likeliest token; otherwise tokens are drawn from the softmax of the logits
    divided by it, each prompt with randomness of its own, which depends on its index and not on the batch.
    An end-of-text token that the tokenizer appends to a prompt is left out.
    on_token: is called with a prompt's index and what its next token adds, as soon as it is chosen (of a
        character that takes several tokens, with the last of these); prompts are continued side by side, or
        batch after batch. What it raises ends the generation.

    Raises:
        TypeError: what is no model, or a single string instead of a list.
        ValueError: an encoder, an empty prompt, a prompt without room for the new tokens, or a setting out
            of range.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> one = cs.generate(model, ["The dog was"], max_new_tokens=5)
    >>> one == cs.generate(model, ["The dog was", "She"], max_new_tokens=5)[:1]
    True
    >>> said = []
    >>> add = lambda row, text: said.append(text)
    >>> _ = cs.generate(model, ["The dog was"], max_new_tokens=5, on_token=add)
    >>> one == ["".join(said)]
    True
    """
    encoded = open_prompts(model, prompts)
    made = write(model, encoded, max_new_tokens, temperature, generator, on_token)
    return [text_of(model.tokenizer, prompt, tokens) for prompt, tokens in zip(encoded, made, strict=True)]


def write(
    model: HookedModel,
    encoded: Sequence[Prompt],
    max_new_tokens: int,
    temperature: float,
    generator: int | torch.Generator,
    on_token: OnToken | None = None,
    *,
    unread: int = 1,
    draws: Sequence[int] | None = None,
) -> list[list[int]]:
    """The tokens with which each prompt goes on, in the order given; arguments as in `generate`.

    unread: how many of the new tokens need no position, as the last one is not read again.
    draws: prompts of the same number get the same random numbers; by default each prompt's index.

    Raises:
        ValueError: a prompt without room for the new tokens, or a setting out of range.
    """
    _check_settings(max_new_tokens, temperature)
    limit = context_length(model)
    for row, prompt in enumerate(encoded):
        if limit is not None and len(prompt) + max_new_tokens - unread > limit:
            raise ValueError(
                f"prompt {row} has {len(prompt)} tokens, and the model has positions for {limit}: "
                f"max_new_tokens can be at most {limit - len(prompt) + unread}, got {max_new_tokens}"
            )
    sampling = None
    if temperature != 0:
        numbers = range(len(encoded)) if draws is None else draws
        sampling = _Sampling(temperature, drawn_seed(generator), max_new_tokens, numbers)
    made: dict[int, list[int]] = {}
    with inference(model.hf):
        for rows in batches(encoded, equal=not pads(model, "left")):
            new = _continue(model, encoded, rows, max_new_tokens, sampling, on_token)
            made.update(zip(rows, new, strict=True))
    return [made[row] for row in range(len(encoded))]


def next_token_logits(
    model: HookedModel, prompts: Examples | Sequence[Text]
) -> Float[Tensor, "example vocab"]:
    """The model's logits for the token after each prompt, in the order given and in the model's dtype.

    Raises:
        TypeError: a single string instead of a list.
        ValueError: an encoder, an empty prompt, or one with more tokens than the model's context.

    >>> import conceptscope as cs
    >>> cs.next_token_logits(cs.load_model("tinyworld"), ["The dog was", "She"]).shape[0]
    2
    """
    encoded = open_prompts(model, prompts)
    logits: dict[int, Tensor] = {}
    for rows, found in next_logits(model, encoded):
        logits.update(zip(rows, found, strict=True))
    return torch.stack([logits[row] for row in range(len(encoded))])


def next_logits(
    model: HookedModel, encoded: Sequence[Prompt]
) -> Iterator[tuple[list[int], Float[Tensor, "row vocab"]]]:
    """Batch after batch, which prompts and the logits for the token after each, in the model's dtype."""
    for rows in batches(encoded, equal=not pads(model, "right")):
        chosen = [encoded[row] for row in rows]
        batch = pad(model, chosen, side="right")
        kept = partial(_at, index=torch.tensor([len(prompt) - 1 for prompt in chosen]))
        state = Running(chosen, rows, batch.starts)
        with inference(model.hf), running(model, state), unembedding(model.hf, kept):
            logits = model.hf(**batch.inputs, use_cache=False).logits
        yield rows, (logits if logits.shape[1] == 1 else kept(logits))[:, 0]


def _check_settings(max_new_tokens: int, temperature: float) -> None:
    if isinstance(max_new_tokens, bool) or not isinstance(max_new_tokens, int) or max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be a whole number from 1 on, got {max_new_tokens!r}")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"temperature must be 0 (the likeliest token) or more, got {temperature!r}")


def open_prompts(model: HookedModel, prompts: Examples | Sequence[Text]) -> list[Prompt]:
    """Prompts for the model to continue, without special tokens that the tokenizer put after a text.

    Raises:
        TypeError: a single string instead of a list.
        ValueError: an encoder, or a text that `encode` refuses.
    """
    check_model(model)
    if not model.generates:
        raise ValueError(
            f"{model.name} ({type(model.hf).__name__}) is an encoder, or has no head, and continues no text: "
            "use capture, or load a causal language model"
        )
    data = Examples.of(prompts)
    return [_open(prompt) for prompt in encode(model, data.texts, data.spans)]


def _open(prompt: Prompt) -> Prompt:
    """The prompt without special tokens that the tokenizer put after its text."""
    if not prompt.offsets:
        return prompt
    n = len(prompt)
    while n - 1 > prompt.content[-1] and prompt.offsets[n - 1][0] == prompt.offsets[n - 1][1]:
        n -= 1
    return prompt if n == len(prompt) else replace(prompt, ids=prompt.ids[:n], offsets=prompt.offsets[:n])


def _continue(
    model: HookedModel,
    encoded: Sequence[Prompt],
    rows: list[int],
    max_new_tokens: int,
    sampling: _Sampling | None,
    on_token: OnToken | None = None,
) -> list[list[int]]:
    chosen = [encoded[row] for row in rows]
    batch = pad(model, chosen, side="left")
    ends = end_tokens(model)
    settings = _settings(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=ends or None,
        pad_token_id=ends[0] if ends else 0,
    )
    processors = LogitsProcessorList([] if sampling is None else [sampling.processor(rows, model.device)])
    streamer = None
    if on_token is not None:
        texts = {row: growing(model.tokenizer, encoded[row]) for row in rows}
        streamer = Streamer(texts, ends, on_token)
    state = Running(chosen, rows, batch.starts, generating=True)
    with running(model, state), _only_these_settings(model.hf):
        tokens = model.hf.generate(
            **batch.inputs, generation_config=settings, logits_processor=processors, streamer=streamer
        )
    return [_until_end(row, ends) for row in tokens[:, state.width :].tolist()]


def end_tokens(model: HookedModel) -> list[int]:
    """The tokens with which the model ends a text."""
    for owner in (model.hf.generation_config, model.hf.config, model.tokenizer):
        ends = getattr(owner, "eos_token_id", None)
        if ends is not None:
            return [int(end) for end in ends] if isinstance(ends, list | tuple) else [int(ends)]
    return []


def _until_end(tokens: list[int], ends: list[int]) -> list[int]:
    first = next((index for index, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:first]


def growing(tokenizer: Any, prompt: Prompt) -> Growing:
    """A prompt's continuation, to which tokens are added one by one."""
    return Growing(lambda tokens: text_of(tokenizer, prompt, tokens))


def text_of(tokenizer: Any, prompt: Prompt, tokens: Sequence[int]) -> str:
    """What the tokens add to the prompt, its spaces included."""
    before = str(tokenizer.decode(prompt.ids, skip_special_tokens=True))
    whole = str(tokenizer.decode([*prompt.ids, *tokens], skip_special_tokens=True))
    if whole.startswith(before):
        return whole[len(before) :]
    return str(tokenizer.decode(list(tokens), skip_special_tokens=True))


@dataclass(frozen=True)
class _Sampling:
    """Draws tokens with random numbers that depend on the seed, the prompt's number and the step alone."""

    temperature: float
    seed: int
    steps: int
    numbers: Sequence[int]

    def processor(self, rows: Sequence[int], device: torch.device) -> _Drawn:
        seeds = ([self.seed, self.numbers[row]] for row in rows)
        uniforms = np.stack([np.random.default_rng(seed).random(self.steps) for seed in seeds])
        return _Drawn(torch.tensor(uniforms, device=device), self.temperature)


class _Drawn(LogitsProcessor):
    """Leaves only the token that a uniform number draws, since transformers' own sampling is global."""

    def __init__(self, uniforms: Float[Tensor, "example step"], temperature: float) -> None:
        self._uniforms, self._temperature, self._step = uniforms, temperature, 0

    def __call__(
        self, input_ids: Int[Tensor, "example position"], scores: Float[Tensor, "example vocab"]
    ) -> Float[Tensor, "example vocab"]:
        cumulative = torch.softmax(scores.to(self._uniforms.dtype) / self._temperature, dim=-1).cumsum(-1)
        level = self._uniforms[:, self._step, None] * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, level, right=True).clamp(max=scores.shape[-1] - 1)
        self._step += 1
        return torch.full_like(scores, -math.inf).scatter_(1, token, 0.0)


def _settings(**given: Any) -> GenerationConfig:
    settings: GenerationConfig = GenerationConfig(**given)  # type: ignore[no-untyped-call]
    return settings


@contextmanager
def _only_these_settings(hf: Any) -> Iterator[None]:
    """Keep the penalties and sampling of the model's own generation config out."""
    before = hf.generation_config
    hf.generation_config = _settings()
    try:
        yield
    finally:
        hf.generation_config = before


def _at(
    x: Float[Tensor, "example position d"], index: Int[Tensor, " example"]
) -> Float[Tensor, "example 1 d"]:
    return x[torch.arange(len(x), device=x.device), index.to(x.device)][:, None]
