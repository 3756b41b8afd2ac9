"""How a model goes on from prompts, and what it expects where a text goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from conceptscope.hooks import HookedModel
from conceptscope.hooks._batches import batches, pad, pads
from conceptscope.hooks._generate import end_tokens, write
from conceptscope.hooks._inference import inference
from conceptscope.hooks._prompts import Prompt
from conceptscope.hooks._running import Running, running
from conceptscope.hooks._unembedding import unembedding
from conceptscope.hooks._written import with_written

_TOKENS, _CELLS, _PART = 4096, 2**26, 2**24
"""Tokens in a batch, numbers in its logits, and among these so many as are looked at together."""


@dataclass(frozen=True)
class Continuation:
    """The tokens that a model wrote after a prompt, and whether it ended the text there."""

    tokens: tuple[int, ...]
    ended: bool

    @property
    def steps(self) -> int:
        """How many decisions it took: one for each token, and one for the end."""
        return len(self.tokens) + self.ended


def continuations(
    model: HookedModel,
    prompts: Sequence[Prompt],
    most: int,
    *,
    temperature: float = 0.0,
    seed: int = 0,
    draws: Sequence[int] | None = None,
) -> list[Continuation]:
    """How the model goes on from each prompt, for at most so many tokens; arguments as in `write`.

    Raises:
        ValueError: fewer than one token, a prompt without room for them, or a negative temperature.
    """
    made = write(model, prompts, most, temperature, seed, draws=draws)
    return [Continuation(tuple(tokens), ended=len(tokens) < most) for tokens in made]


@dataclass(frozen=True, eq=False)
class Expected:
    """What a model expects at the steps of some continuations, the first being the prompt's last token.

    rows: which continuations; valid: which of the steps they have.
    """

    rows: list[int]
    logits: Float[Tensor, "row step vocab"]
    valid: Bool[Tensor, "row step"]

    @property
    def log_p(self) -> Float[Tensor, "row step vocab"]:
        """Log-probabilities, in float32 at least."""
        wide = self.logits if self.logits.dtype == torch.float64 else self.logits.float()
        return wide.log_softmax(-1)

    def mean(self, values: Float[Tensor, "row step"]) -> Float[Tensor, " row"]:
        """The mean over each row's steps."""
        return values.masked_fill(~self.valid, 0).sum(1) / self.valid.sum(1)

    def parts(self) -> Iterator[Expected]:
        """The same, a few rows after the others, so that what is made of the logits stays small."""
        size = max(1, _PART // self.logits[0].numel())
        for at in range(0, len(self.rows), size):
            some = slice(at, at + size)
            yield Expected(self.rows[some], self.logits[some], self.valid[some])


def batches_of(model: HookedModel, prompts: Sequence[Prompt], steps: int) -> list[list[int]]:
    """Which prompts to look at together when so many steps follow them."""
    longest = max(map(len, prompts)) + steps
    size = max(1, min(_TOKENS // longest, _CELLS // (steps * vocabulary(model))))
    return batches(prompts, size, equal=not pads(model, "left"))


def vocabulary(model: HookedModel) -> int:
    """How many tokens the model knows."""
    return int(model.hf.get_input_embeddings().num_embeddings)


def expectations(
    model: HookedModel, prompts: Sequence[Prompt], written: Sequence[Continuation]
) -> Iterator[Expected]:
    """What the model expects at each step of continuations that are given, a few of them after the others."""
    for rows in batches_of(model, prompts, max(one.steps for one in written)):
        yield from expected_at(model, rows, prompts, written).parts()


def expected_at(
    model: HookedModel, rows: list[int], prompts: Sequence[Prompt], written: Sequence[Continuation]
) -> Expected:
    """What the model expects at each step of some of the continuations, in one batch.

    They count as generated tokens for interventions.
    """
    chosen, lengths = [prompts[row] for row in rows], torch.tensor([written[row].steps for row in rows])
    batch, steps = pad(model, chosen, side="left"), int(lengths.max())
    inputs = with_written(batch, [written[row].tokens[: steps - 1] for row in rows])
    state = Running(chosen, rows, batch.starts, generating=True)
    with inference(model.hf), running(model, state), unembedding(model.hf, lambda x: x[:, -steps:]):
        logits = model.hf(**inputs, use_cache=False).logits[:, -steps:]
    valid = torch.arange(steps, device=logits.device) < lengths[:, None].to(logits.device)
    return Expected(rows, logits, valid)


def surprise(
    model: HookedModel, expected: Expected, written: Sequence[Continuation]
) -> Float[Tensor, " row"]:
    """The mean of -log p over the steps of each row, in nats; any of the end tokens ends a text."""
    log_p, ends = expected.log_p, end_tokens(model)
    wanted = [written[row] for row in expected.rows]
    tokens = _tokens(wanted, expected.valid.shape[1]).to(log_p.device)
    chosen = log_p.gather(-1, tokens[..., None])[..., 0]
    for line, one in enumerate(wanted):
        if one.ended:
            chosen[line, one.steps - 1] = log_p[line, one.steps - 1, ends].logsumexp(0)
    return -expected.mean(chosen)


def _tokens(written: Sequence[Continuation], steps: int) -> Int[Tensor, "row step"]:
    rows = [[*one.tokens, *[0] * (steps - len(one.tokens))] for one in written]
    return torch.tensor(rows)
