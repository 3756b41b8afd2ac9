"""Logistic regression between every two values of an ordered concept."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._fits import Problems
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._logistic_path import LogisticPath
from conceptscope.probes._valued import Valued

_STEPS = 1000
"""The most steps that the regressions take, as in `Logistic`."""


@dataclass(frozen=True)
class PairwiseValues:
    """Logistic regression between every two values, averaged: for labels that are a few ordered numbers.

    Each regression is `Logistic`'s on the rows with either value, turned so that the greater value is
    positive. The reading direction is the mean of their coefficients, in such a unit that A x - offset is the
    label, predicted by a line through the fit data, minus the mean label, which is
    `concept.source["label_mean"]`. The steering direction is the covariance of the activations with the
    label; erasure along it leaves none on the fit data, as with `Ridge`.

    No regression sees more than two values, so the mean is a good direction where the values lie along a
    line and each has more rows than there are dimensions. Where they lie on a curve, as numbers do, two
    values differ in other ways than the next two, and `Ridge`, which sees all of them, predicts far better.

    C: the inverse penalty of each regression, as in `Logistic`.
    bins: values that are more than this are put together, neighbours with neighbours, into as many bins with
    about the same number of rows, and these are told apart.

    Raises:
        ValueError: C is not positive, or fewer than two bins.

    Source: Rajendran et al., arXiv 2402.09236, the experiments on pretrained models.
    """

    C: float = 1.0
    bins: int = 10
    continuous: ClassVar[bool] = True
    """Its labels are numbers, and its held-out scores those of predicted numbers."""

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise ValueError(f"C must be positive, got {self.C}")
        if self.bins < 2:
            raise ValueError(f"values are told apart between at least two bins, got bins={self.bins}")

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            TypeError: labels that are not numbers.
            ValueError: no labels, labels that are all the same or not finite, activations that are NaN,
                infinite or the same in every row, or what `Logistic` refuses.
        """
        data = Valued.of(activations, site)
        direction = self._mean_direction(data)
        readings = (data.x - data.x.mean(0)) @ direction
        slope = readings @ (data.values - data.values.mean()) / readings.square().sum()
        return data.concept(self, slope * direction, method="pairwise values", settings=asdict(self))

    def _mean_direction(self, data: Valued) -> Float[Tensor, " d"]:
        number = binned(data.values, self.bins)
        pairs = torch.combinations(number.unique())  # type: ignore[no-untyped-call]
        low, high = number == pairs[:, :1], number == pairs[:, 1:]
        labels = (number > 0).tolist()
        path = LogisticPath.of(Labelled(data.site, data.activations.with_labels(labels), data.x), _STEPS)
        found = path.solve(Problems(low | high, high.long()), data.x.new_full((len(pairs),), self.C))
        return torch.cat([path.weights(found, pair)[0] for pair in range(len(pairs))]).mean(0)


def binned(values: Float[Tensor, " example"], bins: int) -> Int[Tensor, " example"]:
    """The number of each value in their order; where there are more than bins, of its bin."""
    _, number, counts = values.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    if len(counts) <= bins:
        return torch.as_tensor(number)
    middle = counts.cumsum(0) - counts / 2
    return torch.as_tensor((middle * bins / len(values)).long()[number])
