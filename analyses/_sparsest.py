"""The least sum of AND and OR effects' magnitudes: what it is, and bounds of it from both sides."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from conceptscope.analyses._kronecker import Graph, KroneckerPower, Vector
from conceptscope.analyses._moebius import moebius, orders


def _matrix(*rows: tuple[float, float]) -> Float64[Tensor, "2 2"]:
    return torch.tensor(rows, dtype=torch.float64)


OR_TO_AND = _matrix((1, 1), (0, -1))
"""Less this power times OR effects are the AND effects of the same values, but for the empty mask's."""
ZETA = _matrix((1, 0), (1, 1))


class Sparsest:
    """Minimise ``|a| + |b|`` with ``a - K b - moebius(q) = effects`` and ``|q| <= box``.

    a and b are AND and OR effects and K the power of `OR_TO_AND`. The empty mask's effects weigh nothing and
    its q is zero; b has no order below 2, where OR and AND are the same.

    The dual: maximise ``y effects - box |w|``, where ``y = zeta' w``, with ``|y| <= 1`` and ``|K' y| <= 1``
    where a and b weigh; y is zero at the empty mask, and its w costs nothing.
    """

    def __init__(self, effects: Vector, box: float) -> None:
        self.n = len(effects).bit_length() - 1
        self.effects, self.box = effects, box
        self.low = orders(self.n) <= 1
        self._to_and = KroneckerPower(OR_TO_AND, self.n)
        self._from_and = KroneckerPower(OR_TO_AND.T, self.n)
        self._of_noise = KroneckerPower(torch.linalg.inv(ZETA).T, self.n)
        self._to_dual = KroneckerPower(ZETA.T, self.n)

    def objective(self, or_effects: Vector, noise: Vector) -> float:
        """The sum of the magnitudes: never below the least one."""
        and_effects = self.effects + self._to_and(or_effects) + moebius(noise)
        return float(and_effects[1:].abs().sum() + or_effects.abs().sum())

    def feasible(self, a: Vector, b: Vector, q: Vector) -> tuple[Vector, Vector]:
        """The b and q of a feasible point near any other: q within its box, a and b moved the least."""
        q = q.clamp(-self.box, self.box)
        q[0] = 0.0
        graph = Graph(OR_TO_AND, self.n, offset=self.effects + moebius(q))
        return graph.nearest(a, b)[1].masked_fill(self.low, 0.0), q

    def bound(self, y: Vector) -> float:
        """The dual's value at y, shrunk as far as it must be: never above the least sum."""
        y = torch.cat([y.new_zeros(1), y[1:]])
        steepest = max(float(y.abs().max()), float(self._from_and(y).masked_fill(self.low, 0.0).abs().max()))
        value = float(y @ self.effects)
        if self.box:
            value -= self.box * float(self._of_noise(y)[1:].abs().sum())
        return value / max(1.0, steepest)

    def dual_of_noise(self, w: Vector) -> Vector:
        """The y that belongs to a multiplier of the noise."""
        return self._to_dual(w)
