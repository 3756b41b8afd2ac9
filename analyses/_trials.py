"""Prompts on which interventions are tried, beside the untouched model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from conceptscope.analyses._continuations import (
    Continuation,
    batches_of,
    continuations,
    expectations,
    expected_at,
    surprise,
    vocabulary,
)
from conceptscope.analyses._harm import divergence, repetition
from conceptscope.hooks import Examples, HookedModel, Intervention, intervene
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._generate import open_prompts, text_of
from conceptscope.hooks._prompts import Prompt, Text
from conceptscope.hooks._random import drawn_seed

_KEPT = 2**28
"""Numbers in the untouched model's logits that are kept, 1 GB in float32; more are computed again."""


class Trials:
    """Prompts, how the untouched model goes on from them, and what it expects there.

    Raises:
        TypeError: a single string instead of a list.
        ValueError: an encoder, an empty prompt, or no room for the new tokens.
    """

    def __init__(
        self,
        model: HookedModel,
        prompts: Examples | Sequence[Text],
        max_new_tokens: int,
        temperature: float = 0.0,
        generator: int | torch.Generator = 0,
    ) -> None:
        self.model = model
        self.examples = Examples.of(prompts)
        self.prompts = open_prompts(model, self.examples)
        self._max_new_tokens, self._temperature = max_new_tokens, temperature
        self._seed = drawn_seed(generator) if temperature else 0
        self.written = self.continued(1)

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def cluster(self) -> list[int]:
        """Prompts that share a group or a pair have the same number."""
        return clusters(len(self), self.examples.groups, self.examples.pairs)

    def continued(self, copies: int) -> list[Continuation]:
        """How the model goes on from the prompts, copy after copy, all with the same random numbers."""
        n = len(self)
        return continuations(
            self.model,
            self.prompts * copies,
            self._max_new_tokens,
            temperature=self._temperature,
            seed=self._seed,
            draws=list(range(n)) * copies,
        )

    def expected(self, rows: Sequence[int]) -> Float[Tensor, "row step vocab"]:
        """The untouched model's logits at the steps of its continuations of these prompts."""
        if self._logits is not None:
            return pad_sequence([self._logits[row] for row in rows], batch_first=True)
        once = list(dict.fromkeys(rows))
        logits = expected_at(self.model, once, self.prompts, self.written).logits
        return logits if len(once) == len(rows) else logits[[once.index(row) for row in rows]]

    @cached_property
    def _logits(self) -> list[Tensor] | None:
        """Those of each prompt, or None where they are too many to keep."""
        if sum(one.steps for one in self.written) * vocabulary(self.model) > _KEPT:
            return None
        found: list[Tensor] = [torch.empty(0)] * len(self)
        for expected in expectations(self.model, self.prompts, self.written):
            for row, logits in zip(expected.rows, expected.logits, strict=True):
                found[row] = logits[: self.written[row].steps].clone()
        return found

    def under(self, interventions: Sequence[Intervention], copies: int = 1) -> Run:
        """The same prompts, several times one after the other, under interventions."""
        return Run(self, tuple(interventions), copies)


@dataclass(frozen=True, eq=False)
class Run:
    """Copies of the prompts under interventions; whatever is asked for is computed then."""

    trials: Trials
    interventions: tuple[Intervention, ...]
    copies: int

    @property
    def model(self) -> HookedModel:
        """The model, as it is without the interventions."""
        return self.trials.model

    @property
    def examples(self) -> Examples:
        """The prompts, copy after copy."""
        return self.trials.examples[list(range(len(self.trials))) * self.copies]

    @property
    def prompts(self) -> list[Prompt]:
        """The tokens of the prompts, copy after copy."""
        return self.trials.prompts * self.copies

    @cached_property
    def written(self) -> list[Continuation]:
        """How the model goes on from each prompt."""
        if not self.interventions:
            return self.trials.written * self.copies
        with intervene(self.model, *self.interventions):
            return self.trials.continued(self.copies)

    @property
    def texts(self) -> tuple[str, ...]:
        """What was written after each prompt."""
        pairs = zip(self.prompts, self.written, strict=True)
        return tuple(text_of(self.model.tokenizer, prompt, one.tokens) for prompt, one in pairs)

    def kl(self) -> Float[np.ndarray, "copy prompt"]:
        """KL(untouched || steered) at the steps of the untouched continuations, the mean for each prompt.

        Raises:
            ValueError: interventions under which the model's outputs are not finite.
        """
        trials, n = self.trials, len(self.trials)
        found = torch.empty(self.copies * n, device=self.model.device)
        prompts, written = self.prompts, trials.written * self.copies
        for rows in self._batches():
            with intervene(self.model, *self.interventions):
                steered = expected_at(self.model, rows, prompts, written)
            untouched = trials.expected([row % n for row in rows])
            parts = list(steered.parts())
            for before, after in zip(torch.split(untouched, len(parts[0].rows)), parts, strict=True):
                found[after.rows] = divergence(before, after).to(found)
        if not found.isfinite().all():
            acting = ", ".join(map(str, self.interventions))
            raise ValueError(f"the model's outputs are not finite under {acting}: use smaller strengths")
        return found.view(self.copies, -1).cpu().double().numpy()

    def _batches(self) -> list[list[int]]:
        """Batches of rows in which copies of a prompt come together."""
        n = len(self.trials)
        rows = [copy * n + row for row in range(n) for copy in range(self.copies)]
        steps = max(one.steps for one in self.trials.written)
        found = batches_of(self.model, [self.prompts[row] for row in rows], steps)
        return [[rows[at] for at in batch] for batch in found]

    def surprise(self) -> Float[np.ndarray, "copy prompt"]:
        """How what was written surprises the untouched model, in nats a token."""
        found = torch.empty(len(self.written), device=self.model.device)
        for expected in expectations(self.model, self.prompts, self.written):
            found[expected.rows] = surprise(self.model, expected, self.written).to(found)
        return found.view(self.copies, -1).cpu().double().numpy()

    def repetition(self) -> Float[np.ndarray, "copy prompt"]:
        """The share of each text's runs of three tokens that occurred in it before."""
        return repetition(self.written).view(self.copies, -1).numpy()

    def measured(self, measure: Measure) -> Float[np.ndarray, "copy prompt"]:
        """The measure's number of each prompt.

        Raises:
            ValueError: one that is not finite.
        """
        found = measure(self)
        if not np.isfinite(found).all():
            raise ValueError(f"{measure.name} is not finite for every prompt")
        return found.reshape(self.copies, -1)


@dataclass(frozen=True, eq=False)
class Outcome:
    """The measure's number and KL of each prompt, for each copy of the prompts."""

    effect: Float[np.ndarray, "copy prompt"]
    kl: Float[np.ndarray, "copy prompt"]


class Measure(Protocol):
    """A number for each prompt of a run; ``name`` says which."""

    @property
    def name(self) -> str:
        """What is measured, in words."""

    def __call__(self, run: Run) -> Float[np.ndarray, " row"]:
        """The number of each prompt."""
