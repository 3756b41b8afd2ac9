"""The difference between the means of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._fits import Fits, Problems, in_deviations, trained_on
from conceptscope.probes._folded import Folded, FoldFits, fit_whole
from conceptscope.probes._labelled import Labelled


@dataclass(frozen=True)
class MeanDifference:
    """The mean of the positive class minus that of the negative one, both for reading and for steering.

    The decision boundary is halfway between the means. With many classes each has a direction: its mean
    minus the mean of the other classes' means (whatever their sizes), with the boundary halfway between.
    Its erasure leaves equal class means, so that no linear probe finds the classes on the fit data.

    Source: Marks and Tegmark, arXiv 2310.06824, section 4 (mass-mean probing without the covariance);
    Belrose et al., arXiv 2306.03819, theorem 3.1 (equal class means guard linearly).

    >>> import conceptscope as cs
    >>> import torch
    >>> acts = cs.Activations({"resid_post.0": torch.tensor([[0.0, 1], [2, 1]])}, ["bad", "good"])
    >>> cs.MeanDifference().fit(acts).reading
    tensor([[2., 0.]])
    """

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no labels, one class, class means that coincide, or activations that are NaN,
                infinite or the same in every row.
        """
        return self._fit(Labelled.of(activations, site))

    def _fit(self, data: Labelled) -> Concept:
        return fit_whole(self, data, data.codes, len(data.classes))

    def fit_folds(self, folded: Folded) -> FoldFits:
        """The fits on all training sets, from the means of their classes."""
        reading, offset = _boundaries(folded.means)

        def concept(scale: Float[Tensor, " concept"]) -> Concept:
            return folded.data.concept(
                self,
                reading[-1, 0],
                reading[-1, 0],
                offset[-1, 0],
                method="mean difference",
                mean=folded.sums.mean,
                scale=scale,
            )

        return FoldFits(reading, offset, concept)

    def fit_many(self, data: Labelled, problems: Problems) -> Fits:
        """All problems' fits, from one product with the activations."""
        member = torch.nn.functional.one_hot(problems.codes, len(data.classes)).to(data.x)
        member = member * problems.train[..., None]
        means = torch.einsum("pnc,nd->pcd", member / member.sum(1, keepdim=True), data.x)
        reading, offset = _boundaries(means)
        scores = torch.einsum("nd,pkd->pnk", data.x, reading) - offset[:, None]
        return Fits(
            in_deviations(scores, problems.train),
            lambda number: self._fit(trained_on(data, problems, number)),
        )


def mean_differences(
    means: Float[Tensor, "... class d"],
) -> tuple[Float[Tensor, "... class d"], Float[Tensor, "... class d"]]:
    """For each class its mean minus the mean of the others' means, and the point halfway between."""
    others = (means.sum(-2, keepdim=True) - means) / (means.shape[-2] - 1)
    return means - others, (means + others) / 2


def _boundaries(
    means: Float[Tensor, "... class d"],
) -> tuple[Float[Tensor, "... concept d"], Float[Tensor, "... concept"]]:
    """The directions, one for two classes and one each for more, and where halfway is along them."""
    directions, middles = mean_differences(means)
    if means.shape[-2] == 2:
        directions, middles = directions[..., 1:, :], middles[..., 1:, :]
    return directions, (directions * middles).sum(-1)
