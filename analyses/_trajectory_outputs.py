"""Concepts in what a checkpoint would say next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._measures import labelled
from conceptscope.analyses._targets import token_id
from conceptscope.analyses._telling_tokens import telling_tokens
from conceptscope.analyses._trajectory_measured import Measured
from conceptscope.analyses._trajectory_plan import Known, Plan
from conceptscope.hooks import HookedModel, next_token_logits
from conceptscope.probes._rows import as_float64

OUTPUTS = "outputs"

ValueTokens = Mapping[str, tuple[tuple[int, ...], ...]]
"""For each concept the tokens of each of its values; a value may have none."""


@dataclass(frozen=True, eq=False)
class OutputReader:
    """Reads each concept off the next token: the probability of a value's tokens, given some value's."""

    plan: Plan
    tokens: ValueTokens

    def __call__(self, model: HookedModel) -> dict[str, Measured]:
        """The coordinates."""
        p = as_float64(next_token_logits(model, list(self.plan.texts))).softmax(-1).cpu().numpy()
        shares = {name: _shares(p, tokens) for name, tokens in self.tokens.items()}
        return {OUTPUTS: Measured.of(self.plan, shares, None)}


def _shares(
    p: Float[np.ndarray, "row vocab"], tokens: Sequence[Sequence[int]]
) -> Float[np.ndarray, "row value"]:
    """Where the values have no tokens, nothing is known of them, and they share alike."""
    mass = np.stack([p[:, list(one)].sum(1) for one in tokens], 1)
    total = mass.sum(1, keepdims=True)
    shares: Float[np.ndarray, "row value"]
    shares = np.divide(mass, total, out=np.full_like(mass, 1 / len(tokens)), where=total > 0)
    return shares


def given_tokens(
    model: HookedModel, plan: Plan, given: Mapping[str, Mapping[Any, Any]]
) -> dict[str, tuple[tuple[int, ...], ...]]:
    """The tokens that were given, by concept and value.

    Raises:
        TypeError: something that is no token.
        ValueError: a concept or a value that is missing or not known, or a token that the model lacks.
    """
    found = {}
    for one in plan.concepts:
        own = given.get(one.name)
        if not isinstance(own, Mapping) or set(own) != set(one.values):
            raise ValueError(
                f"tokens={{{one.name!r}: ...}} must give the tokens of each value "
                f"({', '.join(map(repr, one.values))}), got {own!r}"
            )
        found[one.name] = tuple(_tokens(model, one, own[value]) for value in one.values)
    return found


def _tokens(model: HookedModel, concept: Known, given: Any) -> tuple[int, ...]:
    listed = [given] if isinstance(given, str | int) else list(given)
    if not listed:
        raise ValueError(f"tokens={{{concept.name!r}: ...}} has a value without tokens: each needs one")
    return tuple(dict.fromkeys(token_id(model, token, "tokens=") for token in listed))


def found_tokens(model: HookedModel, plan: Plan) -> tuple[dict[str, Any], dict[str, str]]:
    """The tokens by which a model tells the values of each concept apart, and why there are none of some.

    Of a value those likelier after its examples than after the others', at a false discovery rate of 5 %.
    """
    tokens, unknown = {}, {}
    for one in plan.concepts:
        sides = _sides(model, plan, one)
        if sides is None:
            unknown[one.name] = (
                f"{model.name} goes on alike after its values, so that no tokens are known for them"
            )
        tokens[one.name] = sides or ((),) * len(one.values)
    return tokens, unknown


def _sides(model: HookedModel, plan: Plan, one: Known) -> tuple[tuple[int, ...], ...] | None:
    examples = plan.examples[one.name]
    if len(one.values) == 2:
        found = telling_tokens(model, examples, labelled(examples, one.values[1]))
        return None if found is None or found.others is None else (found.others, found.tokens)
    sides = [telling_tokens(model, examples, labelled(examples, value)) for value in one.values]
    own = [set(side.tokens) if side else set() for side in sides]
    shared = {token for side in own for token in side if sum(token in other for other in own) > 1}
    return tuple(tuple(sorted(side - shared)) for side in own) if all(side - shared for side in own) else None
