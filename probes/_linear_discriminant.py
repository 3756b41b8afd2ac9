"""Linear discriminant analysis with a shrunk covariance."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._covariance import Scatter, Shrinkage, check_shrinkage, share, whiten
from conceptscope.probes._fold_scatter import scatter_within
from conceptscope.probes._folded import Folded, FoldFits, fit_whole
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._mean_difference import mean_differences

_ROUNDING = 1e-13
"""Rows that differ from their class's mean by less than this share of their length do so by rounding."""


@dataclass(frozen=True)
class LinearDiscriminant:
    """The difference of class means, whitened by the covariance within classes; it knows `predict_proba`.

    The reading direction is S^-1 (mean of the positive class - mean of the other), S being the covariance
    within classes, shrunk; it passes over directions in which examples vary for other reasons than their
    class, where the mean difference follows them. The steering direction is the mean difference itself. For
    Gaussian classes with one covariance these are a concept's a and S a. Erasure moves along the mean
    difference and leaves equal class means, so that no linear probe finds the classes on the fit data;
    unshrunk, it is the least-squares erasure.

    The classes count as equally frequent, whatever their sizes: with two the boundary is halfway between the
    means. With many a row is S^-1 (mean of the class - mean of all class means), and its zero is where its
    logit is the mean of all classes' logits.

    shrinkage: (1 - shrinkage) S + shrinkage * (mean variance) * identity takes the place of S. "auto" is the
    share that Ledoit and Wolf estimate to err least, without assuming Gaussian examples. Features are not
    standardised first: a rotation of the activations changes nothing.

    Raises:
        ValueError: shrinkage is neither "auto" nor between 0 and 1.

    Source: Ledoit and Wolf, Journal of Multivariate Analysis 88 (2004), section 3.3; Belrose et al.,
    arXiv 2306.03819, theorems 4.2 and 4.3 (least-squares erasure).

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[0.0, 0], [4, 1], [0, 2], [4, 3]])
    >>> acts = cs.Activations({"resid_post.0": x}, ["bad", "bad", "good", "good"])
    >>> cs.LinearDiscriminant(shrinkage=0.5).fit(acts).reading
    tensor([[-0.2953,  1.8085]])
    """

    shrinkage: Shrinkage = "auto"

    def __post_init__(self) -> None:
        check_shrinkage(self.shrinkage)

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no labels, one class, class means that coincide, classes without any variance, a
                covariance that is singular and not shrunk, or activations that are NaN, infinite or the same
                in every row.
        """
        data = Labelled.of(activations, site)
        return fit_whole(self, data, data.codes, len(data.classes))

    def fit_folds(self, folded: Folded) -> FoldFits:
        """The fits on all training sets, from the means and the scatter of their classes.

        Raises:
            ValueError: as in `fit`.
        """
        scatter, k = scatter_within(folded), folded.n_concepts
        reading = folded.means[:, :, :k].clone()
        offset = reading[..., 0].clone()
        for rows, labels in folded.problems:
            means, within = folded.means[rows, labels], scatter(rows, labels)
            _check_varied(folded, within, rows, labels)
            shrinkage = share(self.shrinkage, within, within.n - len(means))
            reading[rows, labels], offset[rows, labels] = _boundary(means, within, shrinkage)

        def concept(scale: Float[Tensor, " concept"]) -> Concept:
            return folded.data.concept(
                self,
                reading[-1, 0],
                mean_differences(means)[0][-k:],
                offset[-1, 0],
                method="linear discriminant",
                settings={"shrinkage": shrinkage},
                link="logit",
                mean=folded.sums.mean,
                scale=scale,
            )

        return FoldFits(reading, offset, concept)


def _check_varied(folded: Folded, within: Scatter, rows: int, labels: int) -> None:
    between = folded.counts[rows, labels] @ folded.means[rows, labels].square().sum(1)
    if within.square <= _ROUNDING**2 * (between.item() + within.square):
        raise ValueError(
            f"the examples of each class are all the same at {folded.data.site}, so that there is no "
            "covariance within classes: use MeanDifference()"
        )


def _boundary(
    means: Float[Tensor, "class d"], within: Scatter, shrinkage: float
) -> tuple[Float[Tensor, "concept d"], Float[Tensor, " concept"]]:
    centre = means.mean(0)
    apart = means - centre if len(means) > 2 else means[1:] - means[:1]
    reading = whiten(apart, within, shrinkage)
    half = (reading * apart).sum(1) / 2
    return reading, reading @ centre + half - half.mean()
