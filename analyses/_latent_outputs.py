"""What a function gives for rows of a latent space: a number or a class for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

LatentFunction = Callable[[Float[Tensor, "row d"]], Any]
"""From rows to one floating-point number each, or to one class each: whole numbers or a list of labels."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """values: the numbers; of classes, their numbers among ``labels``, which is None of numbers."""

    values: Float[np.ndarray, " row"]
    labels: tuple[Any, ...] | None

    def agreement(self, other: Outputs) -> float:
        """The share of rows with the same class there; of numbers, the share of their variance."""
        if self.labels is not None:
            return float((self.values == other.values).mean())
        scatter = np.square(self.values - self.values.mean()).sum()
        return float(1 - np.square(self.values - other.values).sum() / scatter) if scatter else np.nan


def outputs_of(
    function: LatentFunction, batches: Iterable[Float[Tensor, "row d"]]
) -> Shaped[np.ndarray, " row"]:
    """What the function gives for each row of some batches.

    Raises:
        ValueError: outputs that are not one for each row, not finite, or neither numbers nor labels.
    """
    found = []
    with torch.no_grad():
        for part in batches:
            given = function(part)
            one = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
            if one.shape != (len(part),) or one.dtype.kind not in "fiubU":
                raise ValueError(
                    f"the function must give a number or a label for each of {len(part)} rows; it gave "
                    f"{one.dtype} of shape {one.shape}"
                )
            found.append(one)
    outputs = np.concatenate(found)
    if outputs.dtype.kind == "f" and not np.isfinite(outputs).all():
        raise ValueError("the function gives numbers that are not finite: take a smaller margin")
    return outputs


def together(parts: Sequence[Shaped[np.ndarray, " _"]]) -> list[Outputs]:
    """Several runs of outputs, their classes numbered alike."""
    everything = np.concatenate(parts)
    labels: tuple[Any, ...] | None = None
    if everything.dtype.kind != "f":
        known, everything = np.unique(everything, return_inverse=True)
        labels = tuple(known.tolist())
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return [Outputs(values.astype(np.float64), labels) for values in np.split(everything, ends)]
