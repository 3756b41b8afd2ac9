"""What a function gives for rows of a latent space: a number or a class for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks._rows import as_list

LatentFunction = Callable[[Float[Tensor, "row d"]], Any]
"""From rows to one floating-point number each, or to one class each: whole numbers or a list of labels."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """values: the numbers; of classes, their numbers among ``labels``, which is None of numbers."""

    values: Float[np.ndarray, " row"]
    labels: tuple[Any, ...] | None

    @property
    def named(self) -> list[Any]:
        """The numbers, or the labels."""
        if self.labels is None:
            return list(self.values.tolist())
        return [self.labels[int(code)] for code in self.values]

    def agreement(self, other: Outputs) -> float:
        """The share of rows with the same class as here; of numbers R², the share of their variance."""
        if self.labels is not None:
            return float(np.mean([a == b for a, b in zip(self.named, other.named, strict=True)]))
        scatter = np.square(self.values - self.values.mean()).sum()
        return float(1 - np.square(self.values - other.values).sum() / scatter) if scatter else np.nan


def outputs_of(
    function: LatentFunction, rows: Float[Tensor, "row d"], batch_size: int
) -> tuple[list[Any], bool]:
    """What the function gives for each row, and whether these are numbers.

    Raises:
        ValueError: another number of outputs than rows, outputs that are not one for each row, or numbers
            that are not finite.
    """
    found: list[Any] = []
    numbers = True
    with torch.no_grad():
        for part in torch.split(rows, batch_size):
            given = function(part)
            one = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
            if one.shape != (len(part),):
                raise ValueError(
                    f"the function must give one output for each of {len(part)} rows; it gave {one.shape}"
                )
            numbers = numbers and one.dtype.kind == "f"
            found += as_list(one)
    if numbers and not np.isfinite(found).all():
        raise ValueError("the function gives numbers that are not finite: take a smaller margin")
    return found, numbers


def together(parts: list[list[Any]], numbers: bool) -> list[Outputs]:
    """Several lists of outputs, their classes numbered alike."""
    if numbers:
        return [Outputs(np.array(part, dtype=np.float64), None) for part in parts]
    everything = {label for part in parts for label in part}
    try:
        labels = tuple(sorted(everything))
    except TypeError:
        labels = tuple(sorted(everything, key=str))
    codes = {label: float(number) for number, label in enumerate(labels)}
    return [Outputs(np.array([codes[label] for label in part]), labels) for part in parts]
