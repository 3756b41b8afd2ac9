"""How well estimated concepts agree with the true ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.analyses._agreement import correlations, held_out_mcc, held_out_r2, matched
from conceptscope.analyses._untrained import principal_components, random_outputs
from conceptscope.hooks import Activations
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes import Concept, EncodedConcept
from conceptscope.probes._rows import as_float64

if TYPE_CHECKING:
    import pandas as pd

_HALVES = 40


@dataclass(frozen=True)
class RecoveryScore:
    """R2 and MCC of an encoder: means over random halves, and the bounds between which 95 % of these lie."""

    encoder: str
    r2: float
    r2_low: float
    r2_high: float
    mcc: float
    mcc_low: float
    mcc_high: float


@dataclass(frozen=True, eq=False, repr=False)
class ConceptRecovery:
    """How well estimated concepts agree with the true ones, beside encoders that have learned nothing.

    R2 is that of regressing the true valuations on all outputs, the mean over concepts; MCC the mean absolute
    correlation of each concept with an output of its own. Regression and matching are made on one half of
    the rows and scored on the other.

    estimated: the scores of what was estimated; random: those of encoders with random weights; pca: those of
    the first principal components; each with as many outputs.
    matching: for each concept the number of its output, by all rows, None where there are too few outputs.
    correlation: with that output, with its sign.
    """

    estimated: RecoveryScore
    random: RecoveryScore
    pca: RecoveryScore
    matching: tuple[int | None, ...]
    correlation: tuple[float, ...]
    n_examples: int
    generator_state: UInt8[Tensor, " byte"]

    @property
    def r2(self) -> float:
        """R2 of what was estimated."""
        return self.estimated.r2

    @property
    def mcc(self) -> float:
        """MCC of what was estimated."""
        return self.estimated.mcc

    def to_frame(self) -> pd.DataFrame:
        """One row an encoder, the estimated one first: R2 and MCC with their bounds."""
        import pandas as pd

        columns = [field.name for field in fields(RecoveryScore)]
        return pd.DataFrame([astuple(s) for s in (self.estimated, self.random, self.pca)], columns=columns)

    def __repr__(self) -> str:
        scores = (self.estimated, self.random, self.pca)
        shown = ", ".join(f"{one.encoder} R2 {one.r2:.3f} MCC {one.mcc:.3f}" for one in scores)
        return f"ConceptRecovery({self.n_examples} examples, {len(self.matching)} concepts: {shown})"

    def _repr_html_(self) -> str:
        about = f"{self.n_examples} examples, {len(self.matching)} concepts, {_HALVES} random halves"
        return f"<p>{about}</p>{self.to_frame().to_html(index=False, float_format='{:.3f}'.format)}"


def concept_recovery(
    estimated: Concept | EncodedConcept | Float[Tensor, "example output"],
    true: Float[Tensor, "example concept"],
    *,
    inputs: Activations | Float[Tensor, "example d"],
    generator: int | torch.Generator = 0,
) -> ConceptRecovery:
    """How well estimated concepts agree with the true valuations, with the controls that this needs.

    estimated: what an encoder makes of the inputs, or a concept to be applied to them. inputs: what it was
    made of; the controls see the same. The random encoder is linear, with rows drawn with the covariance of
    the inputs, another one for each half: a stronger control than an untrained network. Where inputs vary in
    few dimensions R2 barely tells it from a good encoder.
    The bounds hold 95 % of the scores on random halves, which vary about as much as scores on new samples of
    all the rows would.

    Raises:
        KeyError: inputs that lack the concept's site.
        TypeError: values that are not floats.
        ValueError: shapes that do not fit, too few examples, values that are not finite, or a true concept
            that is the same for half of the examples.

    Source: Rajendran et al., arXiv 2402.09236 (the metrics).

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    >>> recovery = cs.concept_recovery(x[:, [1, 0]] * -3, x[:, :2], inputs=x)
    >>> recovery.matching, round(recovery.r2, 3), round(recovery.mcc, 3)
    ((1, 0), 1.0, 1.0)
    """
    rng = torch_generator(generator)
    state = rng.get_state()
    concept = estimated if isinstance(estimated, Concept | EncodedConcept) else None
    outputs = _matrix("estimated", estimated if concept is None else concept.valuation(inputs))
    truth, x = _matrix("true", true), _matrix("inputs", _rows(inputs, concept))
    _check_together(outputs, truth, x)
    wanted, found = truth.cpu().numpy(), outputs.cpu().numpy()
    centred, width = x - x.mean(0), outputs.shape[1]
    components = principal_components(centred, width)
    halves = list(_halves(wanted, rng))
    matching, correlation = _matching(wanted, found)
    return ConceptRecovery(
        _scored("estimated", lambda: found, wanted, halves),
        _scored("random encoder", lambda: random_outputs(centred, width, rng), wanted, halves),
        _scored("PCA", lambda: components, wanted, halves),
        matching,
        correlation,
        len(x),
        state,
    )


def _halves(true: Float[np.ndarray, "example concept"], rng: torch.Generator) -> Iterator[tuple[Any, Any]]:
    numbers, n = numpy_generator(rng), len(true)
    for _ in range(_HALVES):
        order = numbers.permutation(n)
        fit, score = order[: n // 2], order[n // 2 :]
        still = (np.ptp(true[fit], axis=0) == 0) | (np.ptp(true[score], axis=0) == 0)
        if still.any():
            raise ValueError(
                f"true concept {still.argmax()} is the same for half of the examples or more: leave it out, "
                "or give more examples"
            )
        yield fit, score


def _matching(
    true: Float[np.ndarray, "example concept"], outputs: Float[np.ndarray, "example output"]
) -> tuple[tuple[int | None, ...], tuple[float, ...]]:
    correlation = correlations(true, outputs)
    pairs = dict(zip(*(side.tolist() for side in matched(correlation)), strict=True))
    matching = tuple(pairs.get(k) for k in range(true.shape[1]))
    return matching, tuple(0.0 if i is None else float(correlation[k, i]) for k, i in enumerate(matching))


def _scored(
    name: str,
    maker: Callable[[], Float[np.ndarray, "example output"]],
    true: Float[np.ndarray, "example concept"],
    halves: list[tuple[Any, Any]],
) -> RecoveryScore:
    scores = []
    for fit, score in halves:
        outputs = maker()
        scores.append([measure(outputs, true, fit, score) for measure in (held_out_r2, held_out_mcc)])
    bounds = (np.mean(scores, 0), *np.quantile(scores, (0.025, 0.975), axis=0))
    return RecoveryScore(name, *(float(value) for column in np.transpose(bounds) for value in column))


def _rows(inputs: Any, concept: Concept | EncodedConcept | None) -> Any:
    if not isinstance(inputs, Activations):
        return inputs
    return inputs.at(inputs.key(None if concept is None else concept.site)).flatten(1)


def _matrix(what: str, values: Any) -> Float[Tensor, "example column"]:
    tensor = torch.as_tensor(values)
    if not tensor.is_floating_point():
        raise TypeError(f"{what} must be floats, got {tensor.dtype}")
    if tensor.ndim != 2 or not tensor.numel():
        raise ValueError(f"{what} must be a matrix, one row an example, got shape {tuple(tensor.shape)}")
    if not tensor.isfinite().all():
        raise ValueError(f"{what} has entries that are NaN or infinite: leave out their rows everywhere")
    return as_float64(tensor)


def _check_together(outputs: Tensor, true: Tensor, inputs: Tensor) -> None:
    counts = {"estimated": len(outputs), "true": len(true), "inputs": len(inputs)}
    if len(set(counts.values())) > 1:
        raise ValueError(f"all need the same number of rows, got {counts}")
    needed = 2 * (outputs.shape[1] + 2)
    if len(true) < needed:
        raise ValueError(f"{outputs.shape[1]} outputs need {needed} examples at least, got {len(true)}")
