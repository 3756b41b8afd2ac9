"""Masked texts in well-formed batches, all targets read from the same forward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from conceptscope.analyses._baselines import Baseline, absent_tokens
from conceptscope.analyses._sighted_pass import Sights, sighted_pass
from conceptscope.analyses._targets import Reading
from conceptscope.hooks import HookedModel, Site
from conceptscope.hooks._generate import open_prompts
from conceptscope.hooks._inference import inference
from conceptscope.hooks._positions import prompt_positions
from conceptscope.hooks._prompts import Prompt, Text, context_length, encode
from conceptscope.hooks._running import Running, running

_ROWS, _TOKENS, _TOKENS_ON_GPU = 64, 2**12, 2**16
"""A batch: small ones are the fastest on a CPU, and fill no GPU."""


def the_prompt(model: HookedModel, text: Text) -> Prompt:
    """A text or chat as the model reads it; open at its end for a model that continues it."""
    (prompt,) = open_prompts(model, [text]) if model.generates else encode(model, [text])
    return prompt


@dataclass(frozen=True)
class Chain:
    """Tokens that the model is made to say after the text, and the numbers of the readings made there."""

    tokens: tuple[int, ...]
    readings: tuple[int, ...]


class Asked:
    """What some readings need to see of a text.

    removable: tokens that the attention mask may remove.

    Raises:
        ValueError: a position that the text does not have, or whose token is removable; no room for a
            target's tokens; an encoder's text without exactly one mask.
    """

    def __init__(
        self,
        model: HookedModel,
        prompt: Prompt,
        readings: Sequence[Reading],
        removable: Sequence[int] = (),
    ) -> None:
        self.readings = readings
        self.chains = _chains([one.continuation for one in readings])
        self.step = _first_step(model, prompt) if any(one.site is None for one in readings) else 0
        self.sites: dict[int, tuple[Site, list[int]]] = {
            number: (one.site, _tokens(prompt, one))
            for number, one in enumerate(readings)
            if one.site is not None
        }
        _check_room(model, prompt, self.longest)
        _check_kept(prompt, self, removable)

    @property
    def longest(self) -> int:
        """The number of tokens in the longest chain."""
        return max(len(chain.tokens) for chain in self.chains)

    def steps(self, chain: Chain) -> list[int]:
        """The tokens after which logits are needed."""
        return list(range(self.step, self.step + len(chain.tokens) + 1))

    def read(self, chain: Chain, sights: Sights) -> dict[int, Float64[Tensor, " row"]]:
        """The value of each reading in a chain, by its number."""
        return {
            number: self.readings[number].read(sights.activations.get(number, sights.logits))
            for number in chain.readings
        }


class TextForwards:
    """Forward passes over one text in which some tokens are absent."""

    def __init__(self, model: HookedModel, prompt: Prompt, asked: Asked, baseline: Baseline) -> None:
        self.model, self.prompt, self.asked, self.baseline = model, prompt, asked, baseline

    def with_baseline(self, baseline: Baseline) -> TextForwards:
        """The same with another embedding for absent tokens."""
        return TextForwards(self.model, self.prompt, self.asked, baseline)

    def values(
        self, absent: Bool[Tensor, "row position"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target row"]:
        """The targets' values for each row of absent tokens, on the CPU."""
        found = torch.empty(len(self.asked.readings), len(absent), dtype=torch.float64)
        at = 0
        with inference(self.model.hf):
            for some in torch.split(absent, self._rows):
                found[:, at : at + len(some)] = self.run(some).cpu()
                at += len(some)
                done(len(some))
        return found

    @cached_property
    def _rows(self) -> int:
        longest = len(self.prompt) + self.asked.longest
        if self.model.device.type == "cpu":
            return max(1, min(_ROWS, _TOKENS // longest))
        return max(1, _TOKENS_ON_GPU // longest)

    def run(self, absent: Bool[Tensor, "row position"]) -> Float64[Tensor, "target row"]:
        """The same in one batch, a pass for each chain, with gradients where these are enabled."""
        found: dict[int, Tensor] = {}
        for chain in self.asked.chains:
            here = {n: self.asked.sites[n] for n in chain.readings if n in self.asked.sites}
            state = Running(
                [self.prompt] * len(absent),
                [0] * len(absent),
                [0] * len(absent),
                generating=bool(chain.tokens),
            )
            behind = torch.nn.functional.pad(absent, (0, len(chain.tokens)))
            with absent_tokens(self.model, self.baseline, behind), running(self.model, state):
                sights = sighted_pass(self.model, self._inputs(chain, behind), self.asked.steps(chain), here)
            found |= self.asked.read(chain, sights)
        return torch.stack([found[number] for number in range(len(self.asked.readings))])

    def _inputs(self, chain: Chain, absent: Bool[Tensor, "row position"]) -> dict[str, Any]:
        model = self.model
        ids = torch.tensor([*self.prompt.ids, *chain.tokens], device=model.device).expand(absent.shape)
        inputs: dict[str, Any] = {"input_ids": ids}
        removed = self.baseline.embedding is None
        if model.accepts("attention_mask"):
            here = absent.to(model.device)
            inputs["attention_mask"] = (~here if removed else torch.ones_like(here)).long()
        if removed and model.generates:  # some would count positions by the mask
            inputs["position_ids"] = torch.arange(ids.shape[1], device=model.device).expand_as(ids)
        if model.accepts("use_cache"):
            inputs["use_cache"] = False
        return inputs


def _chains(continuations: Sequence[tuple[int, ...]]) -> list[Chain]:
    """The longest continuations, each with the readings that it serves; a reading is made once."""
    chains: list[Chain] = []
    left = set(range(len(continuations)))
    for tokens in sorted(set(continuations), key=len, reverse=True):
        here = tuple(n for n in sorted(left) if tokens[: len(continuations[n])] == continuations[n])
        if here:
            chains.append(Chain(tokens, here))
            left.difference_update(here)
    return chains


def _first_step(model: HookedModel, prompt: Prompt) -> int:
    """The token after which (or, for an encoder's mask, at which) the model says the next one."""
    if model.generates:
        return len(prompt) - 1
    if model.hf.get_output_embeddings() is None:
        return 0  # a classifier, whose logits have no position
    masks = [index for index, token in enumerate(prompt.ids) if token == model.tokenizer.mask_token_id]
    if len(masks) != 1:
        raise ValueError(
            f"{model.name} is an encoder and says a token where its mask is: the text needs one "
            f"{model.tokenizer.mask_token}, and has {len(masks)}"
        )
    return masks[0]


def _tokens(prompt: Prompt, reading: Reading) -> list[int]:
    if reading.position is None:
        return list(range(len(prompt)))
    return prompt_positions(reading.position, prompt, for_capture=True)


def _check_room(model: HookedModel, prompt: Prompt, more: int) -> None:
    limit = context_length(model)
    if limit is not None and len(prompt) + more > limit:
        raise ValueError(
            f"the text has {len(prompt)} tokens and the target {more} to be read after it, and the model has "
            f"positions for {limit}: shorten one of them"
        )


def _check_kept(prompt: Prompt, asked: Asked, removable: Sequence[int]) -> None:
    """Refuse to read at a token that the attention mask may remove: it would still see itself."""
    read = {index for _, at in asked.sites.values() for index in at}
    if len(asked.sites) < len(asked.readings):
        read.add(asked.step)
    for index in sorted(read.intersection(removable)):
        text = prompt.text[slice(*prompt.offsets[index])] if prompt.offsets else f"token {index}"
        raise ValueError(
            f"baseline='attention' cannot remove {text!r}, at which the target is read: keep it with "
            f"fixed=[...], or take baseline='mean'"
        )
