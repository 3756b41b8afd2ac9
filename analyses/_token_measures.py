"""What the model would say next, as a measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._trials import Run
from conceptscope.hooks import HookedModel, intervene
from conceptscope.hooks._generate import next_logits
from conceptscope.probes._rows import as_float64

_SHOWN = 4


@dataclass(frozen=True, eq=False)
class TokenLogOdds:
    """The log-odds that the next token after the prompt is one of some tokens, in nats.

    others: against these; None is against all others.
    """

    tokens: tuple[int, ...]
    others: tuple[int, ...] | None
    name: str

    @classmethod
    def of(
        cls, model: HookedModel, tokens: Sequence[int], others: Sequence[int] | None = None
    ) -> TokenLogOdds:
        """Those of these tokens, with a name that shows the first of them."""
        name = f"log-odds of {_shown(model, tokens)}"
        if others is None:
            return cls(tuple(tokens), None, name)
        return cls(tuple(tokens), tuple(others), f"{name} against {_shown(model, others)}")

    def __call__(self, run: Run) -> Float[np.ndarray, " row"]:
        """The log-odds of each prompt."""
        found = np.empty(len(run.prompts))
        with intervene(run.model, *run.interventions):
            for rows, logits in next_logits(run.model, run.prompts):
                found[rows] = log_odds(as_float64(logits), self.tokens, self.others).cpu().numpy()
        return found


def log_odds(
    logits: Float[Tensor, "row vocab"], tokens: Sequence[int], others: Sequence[int] | None
) -> Float[Tensor, " row"]:
    """log p(any of the tokens) - log p(any of the others); None is all tokens that are not among them."""
    if others is None:
        against = logits.index_fill(1, torch.tensor(tokens, device=logits.device), -torch.inf)
    else:
        against = logits[:, list(others)]
    return logits[:, list(tokens)].logsumexp(1) - against.logsumexp(1)


def _shown(model: HookedModel, tokens: Sequence[int]) -> str:
    shown = [repr(model.tokenizer.decode([token])) for token in tokens[:_SHOWN]]
    return ", ".join(shown) + (", ..." if len(tokens) > _SHOWN else "")
