"""Least-squares concept erasure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._covariance import Scatter, Shrinkage, check_shrinkage, share, whiten
from conceptscope.probes._fold_scatter import scatter_within
from conceptscope.probes._folded import Folded, FoldFits, fit_whole
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._least_squares import ridge_coefficients, solved


@dataclass(frozen=True)
class Leace:
    """The concept whose `erase()` is least-squares concept erasure (LEACE), for two and many classes.

    The steering direction of a class is its mean minus the mean of all other rows: up to length, the
    covariance of the activations with being of that class. The reading direction is S^+ times that, S being
    the covariance of all activations, so it points to where least squares predicts the class. With two
    classes there is one row, for the last class. Zero is halfway between the two means; with many classes
    each row is the concept of its class against all other rows, and `predict` compares these, which tells
    ordered classes apart badly: take `LinearDiscriminant` to classify.

    After `erase()` the classes have equal means on the fit data, so that no linear probe does better there
    than one that ignores the activations; and among all affine maps of which this is true none moves the
    data less, in mean square along any direction, if shrinkage is 0. On other data traces of the classes
    remain, the fewer the more examples it was fitted on. `concept["animal"].erase()` is the same for that
    class against the rest.

    shrinkage: (1 - shrinkage) S + shrinkage * (mean variance) * identity takes the place of S. It changes by
    how much rows are moved, not what is erased. "auto" is the share that Ledoit and Wolf estimate to err
    least: with few examples the estimated S has directions of almost no variance, which the reading then
    follows, and rows that it was not fitted on are moved by more than they need be. 0 is the published
    formula, with a pseudo-inverse where S is singular.

    Raises:
        ValueError: shrinkage is neither "auto" nor between 0 and 1.

    Source: Belrose et al., arXiv 2306.03819, theorems 3.1 (equal means), 4.2 and 4.3 (the map).

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[0.0, 0], [4, 1], [0, 2], [4, 3]])
    >>> acts = cs.Activations({"resid_post.0": x}, ["bad", "bad", "good", "good"])
    >>> concept = cs.Leace(shrinkage=0).fit(acts)
    >>> concept.reading, concept.steering
    (tensor([[-0.5000,  2.0000]]), tensor([[0., 2.]]))
    """

    shrinkage: Shrinkage = "auto"

    def __post_init__(self) -> None:
        check_shrinkage(self.shrinkage)

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no labels, one class, class means that coincide, a covariance that is singular and
                hardly shrunk, or activations that are NaN, infinite or the same in every row.
        """
        data = Labelled.of(activations, site)
        return fit_whole(self, data, data.codes, len(data.classes))

    def fit_folds(self, folded: Folded) -> FoldFits:
        """The fits on all training sets, from the means of their classes and the scatter of their rows.

        Raises:
            ValueError: as in `fit`.
        """
        scatter = scatter_within(folded.pooled())
        own, rest = (part[:, :, -folded.n_concepts :] for part in _own_and_rest(folded))
        steering = own - rest
        reading = torch.empty_like(steering)
        for rows in range(len(folded.kept)):
            around = scatter(rows, 0)
            shrinkage = share(self.shrinkage, around, around.n - 1)
            if shrinkage > 0:
                found = whiten(steering[rows].flatten(0, 1), around, shrinkage)
            else:
                found = _least_squares(folded, around, rows, steering[rows].flatten(0, 1))
            reading[rows] = found.view_as(reading[rows])
        offset = (reading * (own + rest) / 2).sum(-1)

        def concept(scale: Float[Tensor, " concept"]) -> Concept:
            return folded.data.concept(
                self,
                reading[-1, 0],
                steering[-1, 0],
                offset[-1, 0],
                method="least-squares erasure",
                settings={"shrinkage": shrinkage},
                mean=folded.sums.mean,
                scale=scale,
            )

        return FoldFits(reading, offset, concept)


def _own_and_rest(
    folded: Folded,
) -> tuple[Float[Tensor, "training set class d"], Float[Tensor, "training set class d"]]:
    """The mean of each class, and that of all other rows."""
    counts, means = folded.counts[..., None], folded.means
    weighted = counts * (means - folded.sums.mean)
    others = (weighted.sum(2, keepdim=True) - weighted) / (counts.sum(2, keepdim=True) - counts)
    return means, folded.sums.mean + others


def _least_squares(
    folded: Folded, around: Scatter, rows: int, steering: Float[Tensor, "vector d"]
) -> Float[Tensor, "vector d"]:
    """The steering directions times the pseudo-inverse of the covariance."""
    if around.rows is None:
        return around.n * solved(around.inner, steering.T, 0.0).T
    member = torch.nn.functional.one_hot(folded.codes[:, folded.training_rows(rows)], folded.n_classes)
    member = member[..., -folded.n_concepts :].to(steering)
    targets = member / member.sum(1, keepdim=True) - (1 - member) / (1 - member).sum(1, keepdim=True)
    return around.n * ridge_coefficients(around.rows, targets.transpose(1, 2).flatten(0, 1).T, 0.0)
