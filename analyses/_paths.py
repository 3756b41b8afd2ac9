"""Shortest paths between points of a class, and how much of each lies inside the class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

_BLOCK_BYTES = 1 << 27


@dataclass(frozen=True)
class Paths:
    """The shortest paths from some sources: before[s, v] is the point ahead of v on the way from source s.

    It is negative at the source itself and where no way leads.
    """

    sources: Int[np.ndarray, " source"]
    before: Int[np.ndarray, "source point"]


def shortest_paths(graph: csr_array, sources: Int[np.ndarray, " source"]) -> Iterator[Paths]:
    """The shortest paths from the sources, a block of them at a time."""
    n = graph.shape[0]
    rows = max(1, _BLOCK_BYTES // (12 * n))
    for begin in range(0, len(sources), rows):
        block = sources[begin : begin + rows]
        _, before = dijkstra(graph, directed=True, indices=block, return_predecessors=True)
        yield Paths(block, before)


@dataclass
class Tally:
    """Sums over the ordered pairs of a class: their scores, and how many are strict, direct, disconnected."""

    pairs: int = 0
    score: float = 0.0
    strict: int = 0
    direct: int = 0
    disconnected: int = 0

    def add(
        self,
        share: Float[np.ndarray, " pair"],
        interior: Int[np.ndarray, " pair"],
        connected: Bool[np.ndarray, " pair"],
    ) -> None:
        """Count some pairs: the share of interior points in the class, their number, whether a way leads."""
        self.pairs += len(share)
        self.score += float(share[connected].sum())
        self.strict += int((share[connected] == 1).sum())
        self.direct += int((interior[connected] == 0).sum())
        self.disconnected += int((~connected).sum())


def tally(paths: Paths, inside: Bool[np.ndarray, " point"], into: Tally) -> None:
    """Add the pairs of the paths' sources, which are in the class, with all other points of the class."""
    members = np.flatnonzero(inside)
    source = np.repeat(np.arange(len(paths.sources)), len(members))
    at = np.tile(members, len(paths.sources))
    other = at != paths.sources[source]
    source, at = source[other], at[other]
    before = paths.before[source, at]
    connected = before >= 0
    within, interior = _walked(paths, source, before, connected, inside)
    share = np.where(interior > 0, within / np.maximum(interior, 1), 1.0)
    into.add(share, interior, connected)


def _walked(
    paths: Paths,
    source: Int[np.ndarray, " pair"],
    before: Int[np.ndarray, " pair"],
    connected: Bool[np.ndarray, " pair"],
    inside: Bool[np.ndarray, " point"],
) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
    """How many interior points each path has in the class, and in all; all paths step by step."""
    within = np.zeros(len(source), np.int32)
    interior = np.zeros(len(source), np.int32)
    going = np.flatnonzero(connected & (before != paths.sources[source]))
    at = before[going]
    while len(going):
        interior[going] += 1
        within[going] += inside[at]
        at = paths.before[source[going], at]
        on = at != paths.sources[source[going]]
        going, at = going[on], at[on]
    return within, interior
