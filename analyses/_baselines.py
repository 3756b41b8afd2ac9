"""What stands where a player is absent."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conceptscope.analyses._targets import token_id
from conceptscope.hooks import HookedModel
from conceptscope.hooks._aware import aware
from conceptscope.hooks._inference import inference

WORDS = ("mean", "learned", "attention")


@dataclass(frozen=True, eq=False)
class Baseline:
    """An embedding in place of an absent player's tokens; without one they are removed by the attention mask.

    losses: of a learned baseline, the loss before and after every tenth step.
    """

    name: str
    embedding: Float[Tensor, " d"] | None = field(default=None, repr=False)
    losses: tuple[float, ...] = field(default=(), repr=False)


def fixed_baseline(model: HookedModel, baseline: str | int | Baseline) -> Baseline:
    """A baseline that needs no learning: "mean", "attention", or a token as a string or an id.

    Raises:
        TypeError: something else.
        ValueError: a token that the model does not have or a string that is several, or "attention" where
            tokens cannot be removed without moving the others.
    """
    if isinstance(baseline, Baseline):
        return baseline
    if baseline == "attention":
        _check_removable(model)
        return Baseline("removal by the attention mask")
    if baseline == "mean":
        return Baseline("the mean embedding", _mean(model))
    token = token_id(model, baseline, "baseline=")
    name = f"the token {model.tokenizer.decode([token])!r}"
    warnings.warn(
        f"{name} as the baseline has a meaning of its own, so that what is found depends on it: "
        "compare with baseline='mean' or 'learned'",
        stacklevel=3,
    )
    return Baseline(name, _embedded(model, torch.tensor([token]))[0])


def _mean(model: HookedModel) -> Float[Tensor, " d"]:
    """The mean over the vocabulary of what the embedding gives, scaled where the model scales it."""
    n = int(model.hf.get_input_embeddings().num_embeddings)
    return _embedded(model, torch.arange(n)).float().mean(0)


def _embedded(model: HookedModel, tokens: Tensor) -> Float[Tensor, "token d"]:
    embed = model.hf.get_input_embeddings()
    with inference(model.hf):
        found: Tensor = embed(tokens[None].to(model.device))[0]
    return found.clone()


def _check_removable(model: HookedModel) -> None:
    config = model.hf.config.get_text_config()
    moves = model.generates and (not model.accepts("position_ids") or getattr(config, "alibi", False))
    if moves or not model.accepts("attention_mask") or getattr(model.hf, "_is_stateful", False):
        raise ValueError(
            f"baseline='attention' removes tokens while all others keep their positions, which {model.name} "
            f"({type(model.hf).__name__}) does not allow: take baseline='mean'"
        )


@contextmanager
def absent_tokens(
    model: HookedModel, baseline: Baseline, absent: Bool[Tensor, "row position"]
) -> Iterator[None]:
    """Put the baseline's embedding in place of some tokens in the forward passes inside."""
    if baseline.embedding is None:
        yield
        return
    embedding, rows = baseline.embedding, absent.to(model.device)[..., None]

    def put(module: Any, args: Any, output: Float[Tensor, "row position d"]) -> Tensor:
        return torch.where(rows.to(output.device), embedding.to(output), output)

    handle = model.hf.get_input_embeddings().register_forward_hook(aware(put), prepend=True)
    try:
        yield
    finally:
        handle.remove()
