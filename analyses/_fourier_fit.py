"""A sparse Fourier surrogate of a game, whose size and shrinkage other masks choose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from conceptscope.analyses._fourier_screening import (
    Support,
    characters,
    expected,
    player_powers,
    screen,
    signs,
    solved,
)

_PENALTIES = 16
_SMALLEST = 1e-3
_STEPS = 100
_MASKS_PER_SUPPORT = 3
_SHRINKAGES = (0.0, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Fourier:
    """The sum of coefficients times the product of their players' signs, -1 where a player is present.

    The first support is the empty one.
    """

    supports: tuple[Support, ...]
    coefficients: Float64[Tensor, " support"]

    def values(self, masks: Bool[Tensor, "mask player"]) -> Float64[Tensor, " mask"]:
        """What it gives for some coalitions."""
        return characters(signs(masks), list(self.supports)) @ self.coefficients


@dataclass(frozen=True)
class _Choice:
    """A penalty of the lasso, and how far least squares on the supports that it leaves is shrunk to it."""

    penalty: float
    shrinkage: float


def fit_fourier(
    masks: Bool[Tensor, "mask player"], values: Float64[Tensor, " mask"], n_select: int
) -> Fourier:
    """Screen, and fit by a relaxed lasso whose penalty and shrinkage the last ``n_select`` masks choose.

    With what they chose, supports are screened and fitted anew on all masks. There are at most a third as
    many supports as masks, so that their products are never close to collinear.

    Source: Meinshausen 2007, Computational Statistics and Data Analysis 52:374 (the relaxed lasso).
    """
    players = signs(masks)
    n_fit = len(masks) - n_select
    first = _Problem(players[:n_fit], values[:n_fit])
    choice = first.best(players[n_fit:], values[n_fit:])
    whole = _Problem(players, values)
    penalty = choice.penalty * (n_fit / len(masks)) ** 0.5
    return whole.fitted(_Choice(penalty, choice.shrinkage))


class _Problem:
    """Screened supports, their products scaled by what is expected of them, with their Gram matrix."""

    def __init__(self, players: Float64[Tensor, "mask player"], values: Float64[Tensor, " mask"]) -> None:
        self._supports = screen(players, values, len(players) // _MASKS_PER_SUPPORT)
        columns = characters(players, self._supports)
        self._centre, self._mean = columns.mean(0), values.mean()
        columns -= self._centre
        gram = columns.T @ columns / len(columns)
        target = columns.T @ (values - self._mean) / len(columns)
        powers = player_powers(self._supports, solved(gram, target), players.shape[1])
        self._scale = expected(self._supports, powers)
        self._gram = self._scale[:, None] * gram * self._scale
        self._target = self._scale * target

    def best(self, players: Float64[Tensor, "mask player"], values: Float64[Tensor, " mask"]) -> _Choice:
        """The choice with the least error on other masks; the sparsest of those that are as good."""
        if not self._supports:
            return _Choice(0.0, 0.0)
        columns = (characters(players, self._supports) - self._centre) * self._scale
        target = values - self._mean
        choices, errors = [], []
        for penalty, lasso in self._path():
            free = self._free(lasso)
            for share in _SHRINKAGES:
                choices.append(_Choice(penalty, share))
                errors.append(float((target - columns @ torch.lerp(free, lasso, share)).square().mean()))
        enough = min(errors) * (1 + 1e-6) + 1e-18 * float(target.square().mean())
        return next(choice for choice, error in zip(choices, errors, strict=True) if error <= enough)

    def fitted(self, choice: _Choice) -> Fourier:
        """The surrogate of a choice, without the supports that it leaves at zero."""
        if not self._supports:
            return Fourier(((),), self._mean[None])
        lasso = self._lasso(choice.penalty, torch.zeros_like(self._target), 4 * _STEPS)
        weights = self._scale * torch.lerp(self._free(lasso), lasso, choice.shrinkage)
        kept = (weights.abs() > 1e-9 * weights.abs().max()).nonzero()[:, 0].tolist()
        constant = self._mean - self._centre @ weights
        supports = ((), *(self._supports[i] for i in kept))
        return Fourier(supports, torch.cat([constant[None], weights[kept]]))

    def _path(self) -> Iterator[tuple[float, Tensor]]:
        """Penalties from the largest that leaves anything down, each with the lasso's weights."""
        largest = float(self._target.abs().max())
        weights = torch.zeros_like(self._target)
        for step in range(1, _PENALTIES + 1):
            penalty = largest * _SMALLEST ** (step / _PENALTIES)
            weights = self._lasso(penalty, weights, _STEPS)
            yield penalty, weights

    def _lasso(self, penalty: float, start: Tensor, n_steps: int) -> Float64[Tensor, " support"]:
        """Accelerated proximal gradient steps (FISTA)."""
        reach = float(torch.linalg.matrix_norm(self._gram, 1))
        weights, ahead, momentum = start, start, 1.0
        for _ in range(n_steps):
            moved = ahead - (self._gram @ ahead - self._target) / reach
            new = torch.nn.functional.softshrink(moved, penalty / reach)
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = new + (momentum - 1) / following * (new - weights)
            weights, momentum = new, following
        return weights

    def _free(self, lasso: Float64[Tensor, " support"]) -> Float64[Tensor, " support"]:
        """Least squares on the supports that the lasso leaves."""
        kept = lasso.nonzero()[:, 0]
        free = torch.zeros_like(lasso)
        if len(kept):
            free[kept] = solved(self._gram[kept][:, kept], self._target[kept])
        return free
