"""How strongly a concept shows in what a world or a model produces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Examples, HookedModel, next_token_logits
from conceptscope.hooks._clusters import clusters
from conceptscope.probes._intervals import mean_interval
from conceptscope.probes._rows import as_float64

World = Callable[[Tensor], Tensor]


@dataclass(frozen=True, repr=False)
class ConceptSignal:
    """The mean signal of a concept with its 95 % interval, and that of each pair or point.

    unit: of the value, in words.
    """

    value: float
    low: float
    high: float
    unit: str
    each: Float[np.ndarray, " pair"] = field(compare=False)

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"ConceptSignal({self.value:.4g} [{self.low:.4g}, {self.high:.4g}], {self.unit})"


@overload
def concept_signal(
    model_or_world: HookedModel, concept: Examples | Sequence[tuple[Any, Any]]
) -> ConceptSignal: ...


@overload
def concept_signal(
    model_or_world: World, concept: int, *, at: Float[Tensor, "point concept"]
) -> ConceptSignal: ...


def concept_signal(
    model_or_world: HookedModel | World,
    concept: Examples | Sequence[tuple[Any, Any]] | int,
    *,
    at: Float[Tensor, "point concept"] | None = None,
) -> ConceptSignal:
    """How much what is produced changes when a concept does, and nothing else.

    Of a model: the mean over pairs of texts of sqrt(JS), the square root of the Jensen-Shannon divergence
    between the next-token distributions after either text; from 0 to sqrt(ln 2) = .83. concept: examples
    with pairs, whose texts differ in that concept alone, or a list of (text, text). Pairs of one group count
    together in the interval.

    Of a differentiable world: the mean over points of |dG/dz_i|, the norm of the derivative of everything
    that is produced. model_or_world: a function G of a tensor [point, concept] whose rows do not depend on
    one another; concept: i; at: the points.

    Raises:
        TypeError: neither a model with texts nor a function with a number.
        ValueError: examples without pairs, a pair that is not two texts, a point or a concept that is not
            there, or what is not differentiable.

    Source: Park et al., arXiv 2406.19370, definition 3 (|dG/dz|); sqrt(JS) is our analogue for next tokens.

    >>> import conceptscope as cs
    >>> import torch
    >>> cs.concept_signal(lambda z: z**2, 1, at=torch.tensor([[1.0, 3.0], [1.0, 5.0]])).value
    8.0
    >>> signal = cs.concept_signal(cs.load_model("tinyworld"), cs.load_examples("tinyworld/tense")[:40])
    >>> signal.low > 0.3
    True
    """
    if isinstance(model_or_world, HookedModel):
        if at is not None:
            raise ValueError("at= is of a world: of a model, the texts are the points")
        return _of_model(model_or_world, concept)
    if not callable(model_or_world) or isinstance(concept, bool) or not isinstance(concept, int):
        raise TypeError(
            "a signal is of a HookedModel and pairs of texts, or of a function of concepts and a concept's "
            f"number, got {type(model_or_world).__name__} and {type(concept).__name__}"
        )
    return _of_world(model_or_world, concept, at)


def root_js(p: Float[Tensor, "... outcome"], q: Float[Tensor, "... outcome"]) -> Float[Tensor, " ..."]:
    """The square root of the Jensen-Shannon divergence of two distributions, in nats; a metric.

    Source: Endres and Schindelin 2003, IEEE Transactions on Information Theory 49:1858.
    """
    p, q = as_float64(p), as_float64(q)
    middle = (p + q) / 2
    divergence = (torch.xlogy(p, p / middle) + torch.xlogy(q, q / middle)).nan_to_num(0.0).sum(-1) / 2
    return divergence.clamp(min=0).sqrt()


def _of_model(model: HookedModel, concept: Any) -> ConceptSignal:
    if not isinstance(concept, Examples):
        if isinstance(concept, str) or not isinstance(concept, Sequence):
            raise TypeError(
                f"a model's signal is of Examples with pairs, or of a list of (text, text), got {concept!r}"
            )
        concept = Examples.from_pairs(concept)
    first, second = _sides(concept)
    p = as_float64(next_token_logits(model, concept)).softmax(-1)
    each = root_js(p[first], p[second]).cpu().numpy()
    groups = None if concept.groups is None else [concept.groups[row] for row in first]
    return _signal(each, np.asarray(clusters(len(each), groups)), "sqrt(JS) in nats")


def _sides(examples: Examples) -> tuple[list[int], list[int]]:
    """The rows of the first and of the second text of each pair."""
    if examples.pairs is None:
        raise ValueError(
            "the examples have no pairs: a signal compares texts that differ in the concept alone; "
            "give Examples.from_pairs([(text, text), ...])"
        )
    rows: dict[Any, list[int]] = {}
    for row, pair in enumerate(examples.pairs):
        if pair is not None:
            rows.setdefault(pair, []).append(row)
    for pair, both in rows.items():
        if len(both) != 2:
            raise ValueError(f"pair {pair!r} has {len(both)} texts, and two are compared")
    first, second = zip(*rows.values(), strict=True)
    return list(first), list(second)


def _of_world(world: World, concept: int, at: Any) -> ConceptSignal:
    if at is None or not torch.is_tensor(at) or at.ndim != 2 or not len(at):
        raise ValueError("at= takes the points at which the world is looked at, a tensor [point, concept]")
    if not 0 <= concept < at.shape[1]:
        raise ValueError(f"the points have {at.shape[1]} concepts, from 0 on, so that there is no {concept}")
    direction = torch.zeros_like(at)
    direction[:, concept] = 1
    try:
        change = torch.func.jvp(world, (at.detach(),), (direction,))[1]
    except RuntimeError as error:
        raise ValueError(f"the world is not differentiable at these points: {error}") from error
    if len(change) != len(at):
        raise ValueError(f"the world makes {len(change)} rows of {len(at)} points: one is needed for each")
    each = as_float64(change).flatten(1).norm(dim=1).cpu().numpy()
    return _signal(each, np.arange(len(each)), "|dG/dz|")


def _signal(each: Float[np.ndarray, " pair"], cluster: Any, unit: str) -> ConceptSignal:
    low, high = mean_interval(each, cluster)
    return ConceptSignal(float(each.mean()), max(0.0, low), high, unit, each)
