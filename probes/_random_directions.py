"""Random directions with the covariance of activations that are seen block by block."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


class RandomDirections:
    """Sums of centred rows with random weights, each of which is a direction with the rows' covariance.

    With two classes a draw is one direction; with more, as many at once as there are classes.
    """

    def __init__(self, seed: int, n_concepts: int, *, draws: int = 20) -> None:
        self._shape = draws, n_concepts
        self._rng = np.random.default_rng(seed)
        self._sums: Tensor | float = 0.0
        self._weights: Tensor | float = 0.0

    def add(self, rows: Float[Tensor, "row d"]) -> None:
        """The next rows, counted from anywhere."""
        weights = torch.from_numpy(self._rng.standard_normal((len(rows), *self._shape))).to(rows).flatten(1)
        self._sums = self._sums + rows.T @ weights
        self._weights = self._weights + weights.sum(0)

    def directions(self, mean: Float[Tensor, " d"]) -> Float[Tensor, "d draw concept"]:
        """The directions, all rows having been added; their mean is counted from the same place."""
        sums: Tensor = self._sums - torch.outer(mean, torch.as_tensor(self._weights))
        return sums.view(-1, *self._shape)
