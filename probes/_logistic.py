"""Logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._fits import Fits, Problems, in_deviations, trained_on
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._logistic_path import LogisticPath
from conceptscope.probes._mean_difference import mean_differences
from conceptscope.probes._nested import best_strengths


@dataclass(frozen=True)
class Logistic:
    """L2-penalised logistic regression, multinomial for many classes; it knows `predict_proba`.

    The reading direction holds the regression's coefficients, in log-odds per activation unit; the steering
    direction is the difference of class means, since coefficients tell classes apart and need not lead from
    one to the other. `erase` moves along it and leaves equal class means, so that no linear probe finds the
    classes on the fit data; erasing along the coefficients themselves, orthogonally, leaves much to find.
    With many classes a row's zero is where its logit is the mean of all classes' logits.

    C: the inverse penalty, as in scikit-learn, for activations centred and divided by one number, their
    root-mean-square standard deviation. Features are not standardised one by one: the residual stream has no
    privileged basis, and so a rotation of it changes nothing. Of several C the one with the least log-loss is
    taken, held out within the rows of the fit (five folds over groups and pairs); in a sweep, that is within
    the training folds.

    All fits of a sweep at a site are one batched solve, among the examples where these are fewer than the
    features; coefficients are within 5e-4 of the optimum, relative to their length, and mostly within 5e-5.

    Raises:
        ValueError: C is not positive.

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.tensor([[-2.0, 0], [-1, 1], [1, 0], [2, 1]])
    >>> acts = cs.Activations({"resid_post.0": x}, [0, 0, 1, 1])
    >>> cs.Logistic(C=1.0).fit(acts).predict_proba(acts)[:, 1].round(decimals=2)
    tensor([0.1600, 0.2900, 0.7100, 0.8400])
    """

    C: float | Sequence[float] = 1.0
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if isinstance(self.C, Sequence):
            object.__setattr__(self, "C", tuple(self.C))
        if not self.strengths or not all(C > 0 for C in self.strengths) or self.max_iter < 1:
            raise ValueError(f"C and max_iter must be positive, got C={self.C}, max_iter={self.max_iter}")

    @property
    def strengths(self) -> tuple[float, ...]:
        """The values of C to choose from."""
        return tuple(self.C) if isinstance(self.C, Sequence) else (self.C,)

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
        """The concept at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no labels, one class, activations that are NaN, infinite or the same in every row, or
                no convergence within max_iter steps.
        """
        data = Labelled.of(activations, site)
        everything = torch.ones_like(data.codes, dtype=torch.bool)
        return self.fit_many(data, Problems(everything[None], data.codes[None])).concept(0)

    def fit_many(self, data: Labelled, problems: Problems) -> Fits:
        """All problems' fits, in one batched solve.

        Raises:
            ValueError: no convergence within max_iter steps, or groups too few to choose C within.
        """
        path = LogisticPath.of(data, self.max_iter)
        if len(self.strengths) == 1:
            chosen = problems.train.new_zeros(len(problems), dtype=torch.int64)
        else:
            chosen = best_strengths(data, problems, self.strengths, path.logits)
        strength = torch.tensor(self.strengths, dtype=torch.float64, device=data.x.device)[chosen]
        solution = path.solve(problems, strength)

        def concept(number: int) -> Concept:
            weights, intercept = path.weights(solution, number)
            return self._concept(data, problems, number, weights, intercept, float(strength[number]))

        return Fits(in_deviations(solution.logits.transpose(0, 1), problems.train), concept)

    def _concept(
        self,
        data: Labelled,
        problems: Problems,
        number: int,
        weights: Float[Tensor, "concept d"],
        intercept: Float[Tensor, " concept"],
        C: float,
    ) -> Concept:
        rows = trained_on(data, problems, number)
        steering = mean_differences(rows.class_means())[0][-len(weights) :]
        settings = asdict(self) | {"C": C} | ({"C_among": self.strengths} if len(self.strengths) > 1 else {})
        return rows.concept(
            self, weights, steering, -intercept, method="logistic regression", settings=settings, link="logit"
        )
