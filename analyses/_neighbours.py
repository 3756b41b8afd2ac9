"""Nearest neighbours by blocks, and the graph that they make."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from torch import Tensor

METRICS = ("euclidean", "cosine")
_BLOCK_BYTES = 1 << 27
_SPARE = 8
"""Neighbours looked at beyond those wanted: distances from a matrix product are rounded."""
_ROUNDING = 8.0
"""How far a squared distance from a product may be off, in units of the rounding of its squared norms."""


def nearest(x: Float[Tensor, "row d"], k: int) -> tuple[Int[np.ndarray, "row k"], Float[np.ndarray, "row k"]]:
    """The k nearest other rows of each row by Euclidean distance, and how far they are; ties by row number.

    Candidates come from products of blocks with all rows, never from an n x n matrix, on the device where the
    rows are; their distances are then computed from differences, in float64. Rows whose products are too
    coarse to be sure of the candidates, as in float32 far from the mean, are done again in float64. Of more
    ties than a few spare candidates, which are taken is not said.
    """
    near, far, sure = _nearest(x, torch.arange(len(x), device=x.device), k)
    again = (~sure).nonzero()[:, 0]
    if len(again) and x.dtype != torch.float64:
        near[again], far[again], _ = _nearest(x.double(), again, k)
    return near.cpu().numpy(), far.cpu().numpy()


def _nearest(
    x: Float[Tensor, "all d"], rows: Int[Tensor, " row"], k: int
) -> tuple[Int[Tensor, "row k"], Float[Tensor, "row k"], Bool[Tensor, " row"]]:
    """Neighbours of some rows, their distances, and whether rounding cannot have hidden a nearer one."""
    n, centred = len(x), x - x.mean(0)
    squares = (centred * centred).sum(1)
    wanted = min(k + _SPARE, n - 1)
    rounding = _ROUNDING * torch.finfo(x.dtype).eps * (squares[rows] + squares.max())
    size = max(1, _BLOCK_BYTES // (n * x.element_size()))
    found = []
    for part, most in zip(torch.split(rows, size), torch.split(rounding, size), strict=True):
        squared = squares - 2 * centred[part] @ centred.T
        squared[torch.arange(len(part), device=x.device), part] = torch.inf
        kept = squared.topk(wanted, largest=False)
        candidates = kept.indices.sort(1).values
        far, order = _distances(x[part], x, candidates).sort(dim=1, stable=True)
        beyond = squares[part] + kept.values[:, -1] - most
        sure = (far[:, k - 1] ** 2 <= beyond) | (wanted == n - 1)
        found.append((candidates.gather(1, order[:, :k]), far[:, :k], sure))
    near, distances, certain = (torch.cat(parts) for parts in zip(*found, strict=True))
    return near, distances, certain


def _distances(
    block: Float[Tensor, "row d"], x: Float[Tensor, "all d"], candidates: Int[Tensor, "row near"]
) -> Float[Tensor, "row near"]:
    columns = [torch.linalg.vector_norm((block - x[near]).double(), dim=1) for near in candidates.unbind(1)]
    return torch.stack(columns, 1)


def neighbour_graph(x: Float[Tensor, "row d"], k: int) -> csr_array:
    """The undirected graph in which two rows are joined if either is among the other's k nearest.

    Weights are distances; those of duplicates, zero, are stored like any other.
    """
    near, far = nearest(x, k)
    n = len(near)
    rows = np.repeat(np.arange(n), near.shape[1])
    columns, weights = near.ravel(), far.ravel()
    pairs = np.concatenate([rows * n + columns, columns * n + rows])
    pairs, first = np.unique(pairs, return_index=True)
    weights = np.concatenate([weights, weights])[first]
    starts = np.searchsorted(pairs, np.arange(n + 1) * n)
    return csr_array((weights, (pairs % n).astype(np.int32), starts.astype(np.int32)), shape=(n, n))
