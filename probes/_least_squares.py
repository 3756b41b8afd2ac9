"""Least squares with a penalty, solved where the problem is smaller."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conceptscope.probes._covariance import inner_products


def ridge_coefficients(
    x: Float[Tensor, "example d"], targets: Float[Tensor, "example target"], penalty: float
) -> Float[Tensor, "target d"]:
    """For each target the w with the least |x w - target|^2 + penalty |w|^2, without an intercept.

    Where a penalty of 0 leaves many solutions, the shortest is taken.
    """
    inner = inner_products(x)
    if len(x) >= x.shape[1]:
        return solved(inner, x.T @ targets, penalty).T
    return (x.T @ solved(inner, targets, penalty)).T


def ridge_readings(
    x: Float[Tensor, "example d"],
    targets: Float[Tensor, "example target"],
    train: Bool[Tensor, "fold example"],
    alpha: float,
) -> Float[Tensor, "fold example target"]:
    """What regressions on some of the rows, with an intercept, predict for all rows, less their mean target.

    The inner products are computed once for all of them.

    alpha: the penalty where the training rows are centred and have a mean variance of 1.
    """
    x = x - x.mean(0)
    inner = inner_products(x)
    found = []
    for rows in train:
        middle = x[rows].mean(0)
        centred, deviations = x - middle, targets[rows] - targets[rows].mean(0)
        penalty = alpha * centred[rows].square().mean().item()
        if len(x) >= x.shape[1]:
            left_out = centred[~rows]
            within = inner + len(x) * torch.outer(middle, middle) - left_out.T @ left_out
            found.append(centred @ solved(within, centred[rows].T @ deviations, penalty))
        else:
            along = inner[:, rows] - inner[:, rows].mean(1, keepdim=True)
            along -= along[rows].mean(0)
            found.append(along @ solved(along[rows], deviations, penalty))
    return torch.stack(found)


def solved(
    inner: Float[Tensor, "side side"], right: Float[Tensor, "side target"], penalty: float
) -> Float[Tensor, "side target"]:
    """(inner + penalty)^-1 right, with the pseudo-inverse where the penalty is lost in rounding."""
    rounding = len(inner) * torch.finfo(inner.dtype).eps * inner.trace()
    if penalty > rounding:
        penalised = inner.clone()
        penalised.diagonal().add_(penalty)
        solution: Tensor = torch.linalg.solve(penalised, right)
    else:
        values, vectors = torch.linalg.eigh(inner)
        inverse = torch.where(values > rounding, 1 / (values + penalty), 0)
        solution = vectors @ (inverse[:, None] * (vectors.T @ right))
    return solution
