"""How activations are moved where each has a direction of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.probes._edits import check_width

if TYPE_CHECKING:
    from conceptscope.hooks import Where
    from conceptscope.probes._concept_map import ConceptMap

Shift = Callable[[Float[Tensor, "row d"], "Where"], Float[Tensor, "row d"]]


@dataclass(frozen=True, eq=False)
class MapEdit:
    """An edit made from a concept map; model_name is the model that it is meant for, "" for any."""

    concept_map: ConceptMap
    shift: Shift
    model_name: str = ""

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        """The changed rows.

        Raises:
            ValueError: rows of another width than the map's.
        """
        check_width(self.concept_map, self.concept_map.d, x)
        return x + self.shift(x.flatten(1), where).to(x.dtype).view(x.shape)


def by_example(vectors: Float[Tensor, "example d"]) -> Shift:
    """Shifts each row by its example's vector.

    Raises:
        ValueError: a row of an example beyond the last vector (when the model runs).
    """
    held: dict[torch.device, Tensor] = {}

    def shift(x: Tensor, where: Where) -> Tensor:
        last = int(where.example.max())
        if last >= len(vectors):
            raise ValueError(
                f"example {last} has no context: {len(vectors)} contexts were given, one for each text"
            )
        if x.device not in held:
            held[x.device] = vectors.to(x.device)
        return held[x.device][where.example]

    return shift


def by_own_activation(matrix: Float[Tensor, "d d"], spread: Float[Tensor, "r d"], amount: float) -> Shift:
    """Shifts each row h along M h, by amount standard deviations of the fit data there."""
    held: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def shift(x: Tensor, where: Where) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        key = (wide.device, wide.dtype)
        if key not in held:
            held[key] = matrix.to(*key), spread.to(*key)
        along, deviations = held[key]
        towards = wide @ along.T
        length = towards.norm(dim=1, keepdim=True)
        direction = towards / length.masked_fill(length == 0, 1)
        moved: Tensor = amount * (direction @ deviations.T).norm(dim=1, keepdim=True) * direction
        return moved

    return shift
