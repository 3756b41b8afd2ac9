"""The tokens and the examples that show what a concept is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, HookedModel
from conceptscope.probes._single import check_single

if TYPE_CHECKING:
    import pandas as pd

    from conceptscope.probes._concept import Concept


def tokens_raised_most(concept: Concept, model: HookedModel, k: int) -> list[tuple[str, float]]:
    """The k tokens whose unembedding has the greatest product with the concept's vector.

    Raises:
        ValueError: more than one direction, another width, or a model without unembedding.
    """
    check_single(concept)
    weight = model.unembedding
    if weight is None:
        raise ValueError(f"{model.name} has no unembedding, so no tokens can be said for a direction")
    if weight.shape[1] != concept.d:
        raise ValueError(f"{concept!r} has width {concept.d}, and the unembedding {weight.shape[1]}")
    raised = (weight @ concept.vector.to(weight)).float()
    values, ids = raised.topk(min(k, len(raised)))
    tokens = [model.tokenizer.decode([token]) for token in ids.tolist()]
    return list(zip(tokens, values.tolist(), strict=True))


def rows_read_highest(
    concept: Concept, activations: Activations, readings: Float[Tensor, "example concept"], n: int
) -> pd.DataFrame:
    """A table of the n rows with the highest readings.

    Raises:
        ValueError: more than one direction.
    """
    import pandas as pd

    check_single(concept)
    values, rows = readings[:, 0].topk(min(n, len(readings)))
    chosen = torch.as_tensor(rows).tolist()
    table: dict[str, object] = {"example": activations.example[chosen].tolist()}
    if activations.position is not None:
        table["position"] = activations.position[chosen].tolist()
    if activations.labels is not None:
        table["label"] = [activations.labels[row] for row in chosen]
    return pd.DataFrame({**table, "reading": values.tolist()})
