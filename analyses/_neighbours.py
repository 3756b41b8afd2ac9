"""Nearest neighbours by blocks, and the graph that they make."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from torch import Tensor

METRICS = ("euclidean", "cosine")
_BLOCK_BYTES = 1 << 27
_SPARE = 8
"""Neighbours looked at beyond those wanted: distances from a matrix product are rounded."""


def nearest(x: Float[Tensor, "row d"], k: int) -> tuple[Int[np.ndarray, "row k"], Float[np.ndarray, "row k"]]:
    """The k nearest other rows of each row by Euclidean distance, and how far they are; ties by row number.

    Candidates come from products of blocks with all rows, never from an n x n matrix, on the device where the
    rows are; their distances are then computed from differences, in float64.
    """
    x = x - x.mean(0)
    n, squares = len(x), (x * x).sum(1)
    wanted = min(k + _SPARE, n - 1)
    rows = max(1, _BLOCK_BYTES // (n * x.element_size()))
    found, far = [], []
    for begin in range(0, n, rows):
        block = x[begin : begin + rows]
        squared = squares - 2 * block @ x.T
        own = torch.arange(len(block), device=x.device)
        squared[own, own + begin] = torch.inf
        candidates = squared.topk(wanted, largest=False).indices.sort(1).values
        distances = _distances(block, x, candidates)
        order = distances.sort(dim=1, stable=True).indices[:, :k]
        found.append(candidates.gather(1, order).cpu())
        far.append(distances.gather(1, order).cpu())
    return torch.cat(found).numpy(), torch.cat(far).numpy()


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
    graph = csr_array((weights, (pairs % n).astype(np.int32), starts.astype(np.int32)), shape=(n, n))
    return graph
