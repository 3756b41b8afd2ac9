"""A two-layer linear network, whose concepts are learned at times known in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

START, RATE = 1e-3, 0.01


def strengths(
    signals: Float[Tensor, " concept"],
    steps: Float[Tensor, " time"],
    *,
    start: float = START,
    learning_rate: float = RATE,
) -> Float[Tensor, "time concept"]:
    """How much of each signal a balanced, aligned network has learned, by gradient flow.

    With inputs of unit covariance and layers that begin with the signals' own directions, equally strong, the
    product a of a concept's two weights follows da/dt = 2 a (s - a), a logistic curve from ``start`` to s.

    Source: Saxe et al., arXiv 1312.6120, equation 8.

    >>> strengths(torch.tensor([2.0]), torch.tensor([0.0, 1000.0])).squeeze()
    tensor([1.0000e-03, 2.0000e+00])
    """
    odds = signals / start - 1
    return signals / (1 + odds * torch.exp(-2 * signals * learning_rate * steps[:, None]))


def learning_times(
    signals: Float[Tensor, " concept"],
    *,
    fraction: float = 0.8,
    start: float = START,
    learning_rate: float = RATE,
) -> Float[Tensor, " concept"]:
    """The step at which `strengths` reaches this fraction of each signal: about as 1 / signal.

    Raises:
        ValueError: a fraction outside (0, 1), or a signal that is not above ``start``.

    Source: Saxe et al., arXiv 1312.6120, equation 9.

    >>> learning_times(torch.tensor([0.25, 2.0]))
    tensor([1380.7494,  224.6674])
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction!r}")
    if not bool((signals > start).all()):
        raise ValueError(f"signals must be above start={start:g}, got {signals.tolist()}")
    return torch.log(fraction / (1 - fraction) * (signals / start - 1)) / (2 * signals * learning_rate)


@dataclass(frozen=True, eq=False)
class LinearRun:
    """What gradient descent made of a network.

    strengths (step, concept): how much of each signal it had learned after so many steps.
    """

    signals: Float[Tensor, " concept"]
    strengths: Float[Tensor, "step concept"]

    def learning_times(self, fraction: float = 0.8) -> list[int | None]:
        """The first step at which each strength had this fraction of its signal; None for never."""
        reached = self.strengths >= fraction * self.signals
        return [int(column.int().argmax()) if column.any() else None for column in reached.T]


def train(
    signals: Float[Tensor, " concept"],
    steps: int,
    *,
    aligned: bool = True,
    start: float = START,
    learning_rate: float = RATE,
    generator: int | torch.Generator = 0,
) -> LinearRun:
    """Gradient descent on y = W2 W1 x towards W = U diag(signals) V', with inputs of unit covariance.

    U and V are random rotations. An aligned network begins with W1 and W2 along them, each concept with the
    strength ``start``; otherwise all weights are drawn at random, the entries of W2 W1 with that deviation.

    Raises:
        ValueError: a signal or a start that is not positive.

    >>> run = train(torch.tensor([0.5, 1.0]), steps=800)
    >>> run.learning_times()
    [761, 416]
    """
    if start <= 0 or not bool((signals > 0).all()):
        raise ValueError(f"signals and start must be positive, got {signals.tolist()} and {start!r}")
    rng = generator if isinstance(generator, torch.Generator) else torch.Generator().manual_seed(generator)
    n, wide = len(signals), signals.double()
    left, right, hidden = (_rotation(n, rng) for _ in range(3))
    if aligned:
        first, second = start**0.5 * hidden @ right.T, start**0.5 * left @ hidden.T
    else:
        entry = (start / n**0.5) ** 0.5
        first, second = (entry * torch.randn(n, n, generator=rng, dtype=torch.float64) for _ in range(2))
    wanted, found = left @ torch.diag(wide) @ right.T, torch.empty(steps + 1, n, dtype=torch.float64)
    for step in range(steps + 1):
        found[step] = torch.einsum("ik,ij,jk->k", left, second @ first, right)
        error = wanted - second @ first
        first, second = (
            first + learning_rate * second.T @ error,
            second + learning_rate * error @ first.T,
        )
    return LinearRun(wide, found)


def _rotation(n: int, rng: torch.Generator) -> Tensor:
    rotation: Tensor = torch.linalg.qr(torch.randn(n, n, generator=rng, dtype=torch.float64))[0]
    return rotation
