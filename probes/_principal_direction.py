"""The principal component of paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._covariance import inner_products
from conceptscope.probes._folded import Folded, FoldFits, fit_whole
from conceptscope.probes._paired import Paired
from conceptscope.probes._spaces import gram


@dataclass(frozen=True)
class PrincipalDirection:
    """The direction in which the two rows of a pair differ most, both for reading and for steering.

    It is the first principal component of the pairs' differences taken both ways round, whose mean is zero
    by itself. To centre differences that are all positive minus negative, as a plain PCA does, would take
    away the mean difference, which is what the pairs have in common. Where they differ more in something
    else than in the concept, this finds something else: a cosine to `MeanDifference` near 1 rules that out.

    The direction leads from the negative class to the positive one, by the pairs' mean difference along it,
    and is as long as the root mean square of their differences along it, in activation units. The labels
    give it no more than its sign. Without labels it leads from the second row of a pair to the first, as in
    `Examples.from_pairs`, and the concept has no classes. Zero is at the mean of the pairs' midpoints.
    Its erasure removes this direction alone: what the class means differ by in others remains.

    Source: Zou et al., arXiv 2310.01405, section 3.1 (linear artificial tomography).

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[3.0, 1], [-1, 1], [1, 0], [4, 0]])
    >>> acts = cs.Activations({"resid_post.0": x}, ["good", "bad", "bad", "good"], pairs=[0, 0, 1, 1])
    >>> cs.PrincipalDirection().fit(acts).reading
    tensor([[3.5355, 0.0000]])
    """

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no pairs, a row in no pair, a pair of other than two rows or with one label twice,
                more than two classes, pairs that do not differ, or activations that are NaN, infinite or the
                same in every row.
        """
        data = Paired.of(activations, site)
        return fit_whole(self, data, data.sides, 2)

    def fit_folds(self, folded: Folded) -> FoldFits:
        """The fits on all training sets, from the scatter of their pairs' differences and the class means.

        Raises:
            ValueError: as in `fit`.
        """
        data = Paired(folded.data.site, folded.data.activations)
        apart = folded.means[:, :, 1] - folded.means[:, :, 0]
        direction = _components(folded, data)
        rises = torch.einsum("tsd,td->ts", apart, direction) >= 0
        reading = (torch.where(rises, 1, -1)[..., None] * direction[:, None])[:, :, None]
        offset = torch.einsum("tskd,td->tsk", reading, folded.middles)

        def concept(scale: Float[Tensor, " concept"]) -> Concept:
            make = data.make_concept if data.activations.labels is None else data.concept
            return make(
                self,
                reading[-1, 0],
                reading[-1, 0],
                offset[-1, 0],
                method="principal direction",
                mean=folded.sums.mean,
                scale=scale,
            )

        return FoldFits(reading, offset, concept)


def _components(folded: Folded, data: Paired) -> Float[Tensor, "training d"]:
    """The principal component of the pairs' differences in each training set."""
    pairs = data.positive_first
    if folded.sizes.min() < 2 * data.d:
        chosen = [pairs[:, folded.training_rows(rows)[pairs[0]]] for rows in range(len(folded.kept))]
        return torch.stack([principal_component(data.x[first] - data.x[second]) for first, second in chosen])
    parts = folded.kept.shape[1]
    inner = folded.kept.new_zeros(parts, data.d, data.d)
    for rows, x in data.blocks(pairs.T.flatten().tolist()):
        apart = x[::2] - x[1::2]
        for number, own in folded.parts_of(rows[::2]):
            inner[number] += gram(apart[own].T)
    return torch.stack(
        [
            principal_axis(torch.tensordot(kept, inner, 1)) / math.sqrt(size / 2)
            for kept, size in zip(folded.kept, folded.sizes.tolist(), strict=True)
        ]
    )


def principal_component(rows: Float[Tensor, "row d"]) -> Float[Tensor, " d"]:
    """The direction of the greatest mean square, not centred, its length the root of that."""
    inner = inner_products(rows)
    if len(rows) < rows.shape[1]:
        direction: Tensor = rows.T @ torch.linalg.eigh(inner)[1][:, -1]
    else:
        direction = principal_axis(inner)
    return direction / math.sqrt(len(rows))


def principal_axis(inner: Float[Tensor, "d d"]) -> Float[Tensor, " d"]:
    """The direction of the greatest sum of squares, given the inner products, its length the root of that."""
    square, axes = torch.linalg.eigh(inner)
    direction: Tensor = axes[:, -1] * square[-1].clamp_min(0).sqrt()
    return direction
