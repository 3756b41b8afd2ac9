"""Graph convexity of classes: the share of the points on shortest paths within a class that lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import skew
from torch import Tensor

from conceptscope.analyses._neighbours import neighbour_graph
from conceptscope.analyses._paths import Paths, Tally, shortest_paths, tally
from conceptscope.analyses._row_classes import RowClasses

_POOL_BYTES = 1 << 27


@dataclass(frozen=True)
class GraphSettings:
    """How graphs are made and read; see `convexity`."""

    k: int
    sources_per_class: int | None
    disconnected: str


@dataclass(frozen=True)
class Shares:
    """Of one class's pairs: the mean score, and the shares that are strict, direct, disconnected.

    Segments are neither direct nor disconnected; without pairs all are nan.
    """

    score: float
    strict: float
    direct: float | None
    disconnected: float | None
    pairs: int

    @classmethod
    def of(cls, found: Tally, disconnected: str) -> Shares:
        """What sums over pairs come to; pairs that no path joins count as zero, or not at all."""
        counted = found.pairs if disconnected == "zero" else found.pairs - found.disconnected
        return cls(
            _ratio(found.score, counted),
            _ratio(found.strict, found.pairs),
            _ratio(found.direct, found.pairs),
            _ratio(found.disconnected, found.pairs),
            counted,
        )


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")


@dataclass(frozen=True, eq=False)
class RowGraph:
    """The neighbour graph of some rows, on which classes, given as numbers from 0 on, are measured."""

    graph: csr_array
    settings: GraphSettings

    @classmethod
    def of(cls, x: Float[Tensor, "row d"], settings: GraphSettings) -> RowGraph:
        """The graph of some rows."""
        return cls(neighbour_graph(x, settings.k), settings)

    def shares(self, codes: Int[np.ndarray, " row"], rng: np.random.Generator) -> list[Shares]:
        """Each class's shares, over all pairs or those from a sample of sources."""
        found = []
        for number in range(int(codes.max()) + 1):
            inside, into = codes == number, Tally()
            for paths in shortest_paths(self.graph, self._sources(inside, rng)):
                tally(paths, inside, into)
            found.append(Shares.of(into, self.settings.disconnected))
        return found

    def chance(self, codes: Int[np.ndarray, " row"]) -> Float[np.ndarray, " class"]:
        """The mean score of each class over all permutations of the labels on this graph.

        A pair that is joined scores 1, one that no way joins 0 (or does not count), and on any other path
        each interior point is in the class as often as any other point is. Exact; where pairs are left out,
        a ratio of two means, which comes near the mean of the ratios.
        """
        n = self.graph.shape[0]
        pairs = n * (n - 1)
        joined = self.graph.nnz / pairs
        sizes = np.bincount(connected_components(self.graph, directed=False)[1])
        apart = 1 - float((sizes * (sizes - 1)).sum()) / pairs
        others = (np.bincount(codes) - 2) / max(n - 2, 1)
        expected = joined + (1 - joined - apart) * others
        return expected if self.settings.disconnected == "zero" else expected / (1 - apart)

    def shuffled(
        self, rows: RowClasses, times: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "time class"]:
        """Each class's score for shuffled labels, over pairs from a pool of sources: all rows, if they fit.

        nan where no pair of the class counts.
        """
        pool = self._pool(rows.n, rng)
        found = np.empty((times, rows.n))
        for time in range(times):
            codes = rows.shuffled(rng)
            for number in range(rows.n):
                inside = codes == number
                own = inside[pool.sources]
                into = Tally()
                tally(Paths(pool.sources[own], pool.before[own]), inside, into)
                found[time, number] = Shares.of(into, self.settings.disconnected).score
        return found

    def degree_skew(self) -> float:
        """The skewness of the points' degrees: hubs make it large, and the null wide."""
        return float(skew(np.diff(self.graph.indptr)))

    def _sources(
        self, inside: Bool[np.ndarray, " point"], rng: np.random.Generator
    ) -> Int[np.ndarray, " source"]:
        members, wanted = np.flatnonzero(inside), self.settings.sources_per_class
        if wanted is None or wanted >= len(members):
            return members
        return np.sort(rng.choice(members, wanted, replace=False))

    def _pool(self, n_classes: int, rng: np.random.Generator) -> Paths:
        n = self.graph.shape[0]
        wanted = self.settings.sources_per_class
        fit = max(2, min(n, _POOL_BYTES // (4 * n)))
        size = fit if wanted is None else min(fit, wanted * n_classes)
        sources = np.sort(rng.choice(n, size, replace=False))
        parts = shortest_paths(self.graph, sources)
        return Paths(sources, np.concatenate([part.before for part in parts]))
