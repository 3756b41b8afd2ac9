"""Ridge regression on labels that are numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._least_squares import ridge_coefficients, ridge_readings
from conceptscope.probes._valued import Valued


@dataclass(frozen=True)
class Ridge:
    """L2-penalised least squares on labels that are numbers: a concept of more or less, without classes.

    The reading direction holds the regression's coefficients: A x - offset is the predicted label minus the
    mean label, and `concept.source["label_mean"]` is the latter. The steering direction is the covariance of
    the activations with the label, the mean difference's like for numbers: where the activations move as the
    label rises. Erasure along it leaves no covariance with the label on the fit data, so that no linear
    regression predicts it there better than its mean does; a probe for classes of values still may.

    alpha: the penalty, as in scikit-learn, for activations centred and divided by one number, their
    root-mean-square standard deviation. So it means the same at every layer, and a rotation of the residual
    stream changes nothing. 0 is least squares, and the shortest solution where there are many.

    Raises:
        ValueError: alpha is negative or not finite.

    Source: Hoerl and Kennard, Technometrics 12 (1970).

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[0.0, 1], [1, 0], [2, 1], [3, 0]])
    >>> acts = cs.Activations({"resid_post.0": x}, [10, 12, 14, 16])
    >>> concept = cs.Ridge(alpha=0).fit(acts)
    >>> concept.valuation(x)[:, 0] - concept.offset + concept.source["label_mean"]
    tensor([10., 12., 14., 16.])
    """

    alpha: float = 1.0
    continuous: ClassVar[bool] = True
    """Its labels are numbers, and its held-out scores those of predicted numbers."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < math.inf:
            raise ValueError(f"alpha must be 0 or positive, and finite, got {self.alpha}")

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            TypeError: labels that are not numbers.
            ValueError: no labels, labels that are all the same or not finite, activations that have nothing
                to do with them, or that are NaN, infinite or the same in every row.
        """
        data = Valued.of(activations, site)
        centred = data.x - data.x.mean(0)
        unit = centred.square().mean().sqrt()
        deviation = data.values - data.values.mean()
        reading = ridge_coefficients(centred / unit, deviation[:, None], self.alpha)[0] / unit
        return data.concept(self, reading, method="ridge regression", settings=asdict(self))

    def read_many(
        self,
        x: Float[Tensor, "example d"],
        values: Float[Tensor, "example target"],
        train: Bool[Tensor, "fold example"],
    ) -> Float[Tensor, "fold example target"]:
        """A x - offset of all rows, for each set of labels and each choice of training rows."""
        return ridge_readings(x, values, train, self.alpha)
