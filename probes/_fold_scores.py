"""What fits on training sets say of the rows that these leave out, from one pass over the rows."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.probes._concept import Concept
from conceptscope.probes._folded import Folded, FoldFits
from conceptscope.probes._spread import beyond_rounding


class FoldScores:
    """A x - offset of each row by the fits that did not see it, and how far the true labels' fits spread.

    values: by set of labels, row and concept.
    """

    def __init__(self, extractor: Any, folded: Folded, fits: FoldFits) -> None:
        self._extractor, self._folded, self._fits = extractor, folded, fits
        self._expected = torch.einsum("tkd,td->tk", fits.reading[:, 0], folded.middles)
        self._squares = torch.zeros_like(self._expected)
        self.values = fits.offset.new_zeros(*folded.codes.shape, fits.offset.shape[2])

    def see(self, rows: slice, x: Float[Tensor, "row d"]) -> None:
        """The next rows."""
        own = torch.einsum("nd,tkd->ntk", x, self._fits.reading[:, 0]) - self._expected
        kept = self._folded.kept[:, self._folded.part[rows]]
        self._squares += torch.einsum("tn,ntk->tk", kept, own.square())
        for part, chosen in self._folded.parts_of(rows):
            along = torch.einsum("nd,skd->snk", x[chosen], self._fits.reading[part])
            self.values[:, rows][:, chosen] = along - self._fits.offset[part][:, None]

    @property
    def _variance(self) -> Float[Tensor, "training concept"]:
        """That of each reading over the rows that it was fitted on."""
        return self._squares / (self._folded.sizes[:, None] - 1)

    @property
    def scale(self) -> Float[Tensor, " training"]:
        """The standard deviation of each fit's readings: of several the root mean square of theirs.

        Raises:
            ValueError: a fit that reads the same from every row.
        """
        fits, scale = self._fits.reading[:-1].flatten(0, 1), self._variance.mean(1).sqrt()
        if not (scale > 0).all() or not fits.flatten(1).any(1).all():
            raise ValueError(
                f"{self._extractor!r} finds no direction at {self._folded.data.site} in some of the "
                "folds: leave that site out, or capture at another position"
            )
        return scale

    def concept(self) -> Concept:
        """The concept of all rows.

        Raises:
            ValueError: a reading that is the same for every row.
        """
        reading = self._fits.reading[-1, 0]
        deviation = self._variance[-1].sqrt()
        return self._fits.concept(beyond_rounding(deviation, reading, self._folded.data.first))
