"""Kronecker powers and the projection onto their graph, beside dense matrices."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from conceptscope.analyses._kronecker import Graph, KroneckerPower

MATRIX = torch.tensor([[0.3, -1.2], [0.7, 2.0]], dtype=torch.float64)


def _dense(n: int) -> Tensor:
    return functools.reduce(torch.kron, [MATRIX] * n, torch.ones(1, 1, dtype=torch.float64))


def _vectors(n: int) -> Tensor:
    return torch.randn(3, 2**n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)


@pytest.mark.parametrize("n", [0, 1, 5, 6, 7, 9])
def test_a_power_is_the_dense_product(n: int) -> None:
    vector = _vectors(n)[0]
    torch.testing.assert_close(KroneckerPower(MATRIX, n)(vector), _dense(n) @ vector, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_the_nearest_pair_is_that_of_dense_least_squares(scale: float) -> None:
    n = 4
    x, y, offset = _vectors(n)
    constraint = torch.cat([scale * torch.eye(2**n, dtype=torch.float64), -_dense(n)], 1)
    point = torch.cat([x, y])
    expected = point + torch.linalg.pinv(constraint) @ (offset - constraint @ point)
    near_x, near_y, multiplier = Graph(MATRIX, n, scale=scale, offset=offset).nearest(x, y)
    torch.testing.assert_close(torch.cat([near_x, near_y]), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(constraint.T @ multiplier, expected - point, rtol=0, atol=1e-10)


def test_without_an_offset_it_is_a_subspace() -> None:
    x, y, _ = _vectors(5)
    near_x, near_y, _ = Graph(MATRIX, 5).nearest(x, y)
    torch.testing.assert_close(near_x, _dense(5) @ near_y, rtol=0, atol=1e-9)
