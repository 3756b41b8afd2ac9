"""What random directions with the covariance of the activations tell about the classes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.probes._folded import Folded


class RandomAccuracy:
    """The held-out accuracy along the random directions, averaged over draws.

    The class with the nearest mean is predicted, means being those of the training rows: with two classes
    that is a threshold and a sign on one direction.
    """

    def __init__(self, folded: Folded, directions: Float[Tensor, "d draw concept"]) -> None:
        self._folded, self._directions, self._right = folded, directions, 0.0
        self._middle = torch.einsum("d,dak->ak", folded.sums.mean, directions)[:, None]
        centred = folded.means[:-1, 0] - folded.sums.mean
        self._means = torch.einsum("tcd,dak->tack", centred, directions)

    def see(self, rows: slice, x: Float[Tensor, "row d"]) -> None:
        """The next rows."""
        along = torch.einsum("nd,dak->ank", x, self._directions) - self._middle
        codes = self._folded.codes[0, rows]
        for part, own in self._folded.parts_of(rows):
            nearest = torch.cdist(along[:, own], self._means[part]).argmin(-1)
            self._right += (nearest == codes[own]).double().mean(0).sum().item()

    @property
    def value(self) -> float:
        """The share that was right, of all rows."""
        return self._right / len(self._folded.data)
