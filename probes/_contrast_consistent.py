"""Contrast-consistent search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._random import torch_generator
from conceptscope.probes._axis import Axis, axis_fits
from conceptscope.probes._concept import Concept
from conceptscope.probes._fits import Fits, Problems
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._paired import Paired

_STEPS = 300
_ROUNDING = 1e-13
"""Rows that vary less than this share of their length vary by rounding."""


@dataclass(frozen=True)
class ContrastConsistent:
    """Contrast-consistent search: a probability that is p for one row of a pair and 1 - p for the other.

    It looks for a reading of which, within each pair, the two probabilities add up to one and the lower is
    near zero: something of which every pair has one row that is so and one that is not. It needs no labels;
    the two sides of a pair are its first and its second row, such as a question answered yes and answered
    no. Where there are labels, one of each class in a pair, they say which end is positive and nothing else;
    a row's label is about its own text (this answer is true), not about the question. Without labels the
    sign means nothing (first rows read higher on average), and the concept has no classes.

    The reading direction is in log-odds per activation unit, and zero at the mean of all rows: there p is
    one half. The steering direction is the mean of the pairs' differences, each from the row that reads
    lower to the one that reads higher, without labels too. Erasure moves along it and need not hide the
    classes from every linear probe.

    restarts: how many random directions the search starts from, all at once; the one of least loss is kept.
    penalty: what the squared length of the reading is worth beside the loss, for activations divided by one
    number, their root-mean-square standard deviation. Without it any split of few examples would reach zero.
    per_side: centre each side on its own mean, so that what all first rows have in common (the word "yes")
    is not found; a reading that tells the sides apart by their means is penalised besides. It takes away the
    concept itself where the first row of every pair is the positive one, as in `Examples.from_pairs`, which
    is refused; there say per_side=False, which centres both sides on one mean. Without labels it cannot be
    noticed.

    There is no intercept, unlike in the paper: centred rows need none, and the loss, which asks that the
    lower probability be near zero, pulls it down and with it the share of rows that read positive.

    Raises:
        TypeError: generator is neither a seed nor a torch.Generator.
        ValueError: restarts or penalty are not positive.

    Source: Burns et al., arXiv 2212.03827, section 2.2 (normalisation, loss, restarts), with an L2 penalty
    and L-BFGS for the weight decay and AdamW of the authors' code.

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[3.0, 1], [-3, 1], [-2, 0], [2, 0]])
    >>> acts = cs.Activations({"resid_post.0": x}, ["true", "false", "false", "true"], pairs=[0, 0, 1, 1])
    >>> cs.ContrastConsistent().fit(acts).predict(x)
    ['true', 'false', 'false', 'true']
    """

    restarts: int = 10
    penalty: float = 0.1
    per_side: bool = True
    generator: int | torch.Generator = 0

    def __post_init__(self) -> None:
        if self.restarts < 1 or not self.penalty > 0:
            raise ValueError(
                f"restarts and penalty must be positive, got restarts={self.restarts}, penalty={self.penalty}"
            )
        torch_generator(self.generator)

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no pairs, a row in no pair, a pair of other than two rows or with one label twice,
                more than two classes, labels that are the sides while each is centred, pairs that leave
                nothing when they are centred, or activations that are NaN, infinite or the same in every
                row.
        """
        data, seeded = Paired.of(activations, site), self._seeded()
        return seeded._concept(data, seeded._axis(data))

    def fit_many(self, data: Labelled, problems: Problems) -> Fits:
        """All problems' fits, those of the same rows from one search.

        Raises:
            ValueError: as in `fit`.
        """
        seeded = self._seeded()
        return axis_fits(data, problems, seeded._axis, seeded._concept)

    def _seeded(self) -> ContrastConsistent:
        """The same with a seed in place of a generator, which its settings can name."""
        if not isinstance(self.generator, torch.Generator):
            return replace(self, generator=int(self.generator))
        drawn = torch.randint(2**62, (), generator=self.generator, device=self.generator.device)
        return replace(self, generator=int(drawn))

    def _axis(self, data: Paired) -> Axis:
        sides = data.x[data.in_order]
        means = sides.mean(1)
        centre = means.mean(0)
        if self.per_side:
            _refuse_sides_that_are_classes(data)
        else:
            means = centre.expand_as(means)
        centred = sides - means[:, None]
        unit = centred.square().mean().sqrt()
        if unit <= _ROUNDING * data.x.square().mean().sqrt():
            raise ValueError(
                f"all pairs at {data.site} are alike once each side is centred: give more pairs, or say "
                "per_side=False"
            )
        apart = (means[0] - means[1]) / 2
        reading = self._search(centred / unit, apart / unit) / unit
        differences = centred[0] - centred[1]
        steering = ((differences @ reading).sign()[:, None] * differences).mean(0)
        return Axis(reading, steering, centre @ reading)

    def _search(self, sides: Float[Tensor, "side pair d"], apart: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
        rng = torch_generator(self.generator)
        starts = torch.randn(self.restarts, len(apart), generator=rng, dtype=torch.float64).to(apart)
        loss = partial(_loss_and_gradient, sides=sides, apart=apart, penalty=self.penalty)
        found = _descend(torch.nn.functional.normalize(starts), loss)
        return found[loss(found)[0].argmin()]

    def _concept(self, data: Paired, axis: Axis) -> Concept:
        return axis.concept(
            data, self, method="contrast-consistent search", settings=asdict(self), link="logit"
        )


def _refuse_sides_that_are_classes(data: Paired) -> None:
    if data.activations.labels is None:
        return
    first = data.codes[data.in_order[0]]
    if (first == first[0]).all():
        raise ValueError(
            f"the first row of every pair is {data.classes[int(first[0])]!r}, so that centring each side "
            "takes the concept away: say per_side=False, or put the rows of each pair in random order"
        )


def _loss_and_gradient(
    weights: Float[Tensor, "restart d"],
    *,
    sides: Float[Tensor, "side pair d"],
    apart: Float[Tensor, " d"],
    penalty: float,
) -> tuple[Float[Tensor, " restart"], Float[Tensor, "restart d"]]:
    """What is minimised, for each restart: (p + q - 1)^2 + min(p, q)^2 in the mean, and the penalty.

    apart: half of what the sides' means differ by, of which the reading is penalised as its length is.
    """
    p = torch.sigmoid(sides @ weights.T)
    excess, (lower, which) = p.sum(0) - 1, p.min(0)
    between = weights @ apart
    loss = (excess**2 + lower**2).mean(0) + penalty * (weights.square().sum(1) + between**2)
    is_lower = which == torch.arange(2, device=p.device)[:, None, None]
    slope = 2 * (excess + lower * is_lower) * p * (1 - p) / p.shape[1]
    gradient = torch.einsum("spr,spd->rd", slope, sides) + 2 * penalty * (weights + between[:, None] * apart)
    return loss, gradient


def _descend(
    weights: Float[Tensor, "restart d"],
    loss_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> Float[Tensor, "restart d"]:
    """The minima that L-BFGS reaches from all restarts at once."""
    descent = torch.optim.LBFGS(
        [weights],
        max_iter=_STEPS,
        history_size=10,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        loss, weights.grad = loss_and_gradient(weights)
        return float(loss.sum())

    descent.step(closure)  # type: ignore[no-untyped-call]
    return weights
