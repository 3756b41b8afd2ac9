"""ADMM for the sparsest AND and OR effects; each of its steps is exact."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from conceptscope.analyses._kronecker import Graph, Vector
from conceptscope.analyses._sparsest import OR_TO_AND, ZETA, Sparsest

_OVER_RELAXED = 1.7
_MOST_CHANGE = 4.0
_ROOT = math.sqrt(2.0)


class BasisPursuit:
    """Iterates that near the solution, and what they say of it.

    Without a box the pairs (a, b) that match the effects are a `Graph`. With one, r stands for moebius(q),
    and two graphs are met independently: ``a - r - K b = effects``, in which a - r is one variable, and
    ``q = zeta(r)``; of r there are two copies, which are averaged.
    """

    def __init__(self, problem: Sparsest) -> None:
        self.problem, self.penalty, self.iterations = problem, 1.0, 0
        n, self._boxed = problem.n, problem.box > 0
        self._graph = Graph(OR_TO_AND, n, scale=_ROOT if self._boxed else 1.0, offset=problem.effects)
        self._noise_graph = Graph(ZETA, n)
        self._copies = torch.tensor([0, 1, 2, 2, 3] if self._boxed else [0, 1])
        self._sparse = torch.zeros(4 if self._boxed else 2, 2**n, dtype=torch.float64)
        self._near = torch.zeros(len(self._copies), 2**n, dtype=torch.float64)
        self._dual, self._moved = torch.zeros_like(self._near), torch.zeros_like(self._near)
        self._multiplier = torch.zeros(2**n, dtype=torch.float64)
        self._weights = torch.ones(2, 2**n, dtype=torch.float64)
        self._weights[0, 0], self._weights[1, problem.low] = 0.0, math.inf

    def run(self, n_iterations: int) -> None:
        """Go on by some iterations."""
        for _ in range(n_iterations):
            spread = self._sparse[self._copies]
            self._near = self._matched(spread - self._dual)
            turned = torch.lerp(spread, self._near, _OVER_RELAXED) + self._dual
            self._sparse = self._sparsened(turned)
            again = self._sparse[self._copies]
            self._dual, self._moved = turned - again, again - spread
        self.iterations += n_iterations

    def balance(self) -> None:
        """Set the penalty such that both residuals, relative to what they are of, shrink alike."""
        spread = self._sparse[self._copies]
        primal = float((self._near - spread).norm() * self._dual.norm())
        dual = float(self._moved.norm() * spread.norm())
        if primal and dual:
            change = min(_MOST_CHANGE, max(1 / _MOST_CHANGE, math.sqrt(primal / dual)))
            self.penalty *= change
            self._dual /= change

    def feasible(self) -> tuple[Vector, Vector]:
        """OR effects and noise that are allowed and near the iterate."""
        a, b = self._near[:2]
        noise = self._near[4] if self._boxed else torch.zeros_like(a)
        return self.problem.feasible(a, b, noise)

    def dual_candidates(self) -> Iterator[Vector]:
        """Vectors near the solution of the dual: of the constraint and, with a box, of the noise."""
        yield self.penalty * self._multiplier
        if self._boxed:
            yield self.problem.dual_of_noise(self._dual[4] * self.penalty)

    def _matched(self, point: Vector) -> Vector:
        """The nearest point that matches the effects."""
        if not self._boxed:
            a, b, self._multiplier = self._graph.nearest(point[0], point[1])
            return torch.stack([a, b])
        a, b, first, second, q = point
        less, total = (a - first) / _ROOT, (a + first) / _ROOT
        less, b, self._multiplier = self._graph.nearest(less, b)
        a, first = (total + less) / _ROOT, (total - less) / _ROOT
        q, second, _ = self._noise_graph.nearest(q, second)
        return torch.stack([a, b, first, second, q])

    def _sparsened(self, point: Vector) -> Vector:
        """The minimiser of the magnitudes near a point, with q within its box."""
        effects = point[:2]
        sparse = effects.sign() * (effects.abs() - self._weights / self.penalty).clamp_min(0.0)
        if not self._boxed:
            return sparse
        q = point[4].clamp(-self.problem.box, self.problem.box)
        q[0] = 0.0
        return torch.cat([sparse, (point[2:3] + point[3:4]) / 2, q[None]])
