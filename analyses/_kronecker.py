"""Linear maps over masks that act on each player alone: the n-fold Kronecker power of a 2 x 2 matrix."""

from __future__ import annotations

import functools

import torch
from jaxtyping import Float64
from torch import Tensor

Vector = Float64[Tensor, " mask"]

_BLOCK = 6
"""Players that are multiplied by at once: with 64 x 64 matrices a product costs as much as reading memory."""


class KroneckerPower:
    """The n-fold Kronecker power of a matrix, as a function of vectors over the 2^n masks."""

    def __init__(self, matrix: Float64[Tensor, "2 2"], n: int) -> None:
        n_blocks = max(1, -(-n // _BLOCK))
        sizes = [n // n_blocks + (i < n % n_blocks) for i in range(n_blocks)]
        self._blocks = [_power(matrix, size) for size in sizes]

    def __call__(self, vector: Vector) -> Vector:
        """The product, in O(n 2^n)."""
        for block in self._blocks:  # acts on the lowest players, which become the highest
            vector = (block @ vector.reshape(-1, len(block)).T).reshape(-1)
        return vector


class Graph:
    """The pairs (x, y) of vectors with ``scale x - M y = offset``, M the Kronecker power of a matrix.

    With ``M = Q S V'`` that is a constraint on each coordinate of ``Q' x`` and ``V' y``, and Kronecker powers
    of orthogonal matrices are orthogonal: the nearest such pair costs four products.

    offset: zero where it is left out.
    """

    def __init__(
        self, matrix: Float64[Tensor, "2 2"], n: int, *, scale: float = 1.0, offset: Vector | None = None
    ) -> None:
        left, singular, right = torch.linalg.svd(matrix)
        self._left, self._right = KroneckerPower(left, n), KroneckerPower(right.T, n)
        self._left_inverse, self._right_inverse = KroneckerPower(left.T, n), KroneckerPower(right, n)
        self._scale, self._singular = scale, _power(singular, n)
        self._weight = 1 / (scale**2 + self._singular**2)
        self._offset = torch.zeros_like(self._singular) if offset is None else self._left_inverse(offset)

    def nearest(self, x: Vector, y: Vector) -> tuple[Vector, Vector, Vector]:
        """The nearest pair, and the multiplier m: x moved by ``scale m`` and y by ``-M' m``."""
        x, y = self._left_inverse(x), self._right_inverse(y)
        multiplier = (self._offset + self._singular * y - self._scale * x) * self._weight
        near_x = self._left(x + self._scale * multiplier)
        near_y = self._right(y - self._singular * multiplier)
        return near_x, near_y, self._left(multiplier)


def _power(factor: Tensor, n: int) -> Tensor:
    return functools.reduce(torch.kron, [factor] * n, torch.ones([1] * factor.ndim, dtype=torch.float64))
