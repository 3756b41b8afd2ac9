"""How the rows of training sets scatter about the means of their classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.probes._covariance import Scatter
from conceptscope.probes._folded import Folded
from conceptscope.probes._spaces import gram

Scatters = Callable[[int, int], Scatter]
"""The scatter within classes of a training set, by its number and that of the set of labels."""


def scatter_within(folded: Folded) -> Scatters:
    """From one more pass over the rows, or, where a training set has fewer than dimensions, from the rows.

    Raises:
        ValueError: values that are NaN, infinite or the same in every row.
    """
    if folded.sizes.min() >= folded.data.d:
        return _Gathered(folded)

    def of_rows(training: int, labels: int) -> Scatter:
        rows = folded.training_rows(training)
        means = folded.means[training, labels]
        return Scatter.of(folded.data.x[rows] - means[folded.codes[labels, rows]])

    return of_rows


class _Gathered:
    """The scatter of each part about the class means of all rows, and the fourth moments of training sets.

    The rows are counted from their own class's mean, so that nothing cancels where classes lie far apart. The
    scatter about the mean of all rows, which other labels need, follows from the sums of the classes.
    """

    def __init__(self, folded: Folded) -> None:
        self._folded = folded
        self._centre = folded.means[-1, 0]
        self._apart = self._centre - folded.sums.mean
        parts, d = folded.kept.shape[1], folded.data.d
        self._scatter = folded.kept.new_zeros(parts, d, d)
        self._fourth = folded.kept.new_zeros(len(folded.kept), len(folded.codes))
        for rows, x in folded.data.blocks():
            codes = folded.codes[:, rows]
            own = x - self._centre[codes[0]]
            for number, chosen in folded.parts_of(rows):
                self._scatter[number] += gram(own[chosen].T)
            weight = folded.kept[:, folded.part[rows]].T
            for labels, code in enumerate(codes):
                moved = x - folded.sums.mean if labels else own
                lengths = self._squared_lengths(moved, code, labels)
                self._fourth[:, labels] += (weight * lengths.square()).sum(0)

    def __call__(self, training: int, labels: int) -> Scatter:
        folded, moved = self._folded, self._moved(labels)[training]
        inner = torch.tensordot(folded.kept[training], self._scatter, 1)
        if labels:
            inner += self._about_the_mean(training)
        inner -= moved.T @ (folded.counts[training, labels][:, None] * moved)
        n, fourth = int(folded.sizes[training]), self._fourth[training, labels].item()
        return Scatter(inner, n, folded.data.d, fourth)

    def _moved(self, labels: int) -> Float[Tensor, "training class d"]:
        """The means of training sets, counted from where the rows are counted from."""
        start = self._folded.sums.mean if labels else self._centre
        return self._folded.means[:, labels] - start

    def _squared_lengths(
        self, moved: Float[Tensor, "row d"], code: Tensor, labels: int
    ) -> Float[Tensor, "row training"]:
        """How far rows are from their classes' means in each training set."""
        means = self._moved(labels)
        along = torch.einsum("nd,tcd->ntc", moved, means) * -2 + means.square().sum(-1)
        own = along.gather(2, code[:, None, None].expand(-1, len(means), 1))[..., 0]
        return (moved.square().sum(1, keepdim=True) + own).clamp_min(0)

    def _about_the_mean(self, training: int) -> Float[Tensor, "d d"]:
        """What the scatter about the mean of all rows has more than that about the class means."""
        counts = self._folded.counts[training, 0][:, None]
        sums = counts * self._moved(0)[training]
        cross = sums.T @ self._apart
        return cross + cross.T + self._apart.T @ (counts * self._apart)
