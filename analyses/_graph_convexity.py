"""Graph convexity of classes: the share of the points on shortest paths within a class that lie in it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import skew
from torch import Tensor

from conceptscope.analyses._neighbours import neighbour_graph
from conceptscope.analyses._paths import Paths, Tally, shortest_paths, tally

_POOL_BYTES = 1 << 27


@dataclass(frozen=True)
class GraphSettings:
    """How graphs are made and read; see `convexity`."""

    k: int
    sources_per_class: int | None
    disconnected: str


@dataclass(frozen=True)
class Shares:
    """Of one class's ordered pairs: the mean score, and the shares that are strict, direct, disconnected."""

    score: float
    strict: float
    direct: float
    disconnected: float
    pairs: int

    @classmethod
    def of(cls, found: Tally, disconnected: str) -> Shares:
        """What sums over pairs come to; pairs that no path joins count as zero, or not at all."""
        pairs = found.pairs if disconnected == "zero" else found.pairs - found.disconnected
        counted = max(pairs, 1)
        score = found.score / counted if pairs else float("nan")
        every = max(found.pairs, 1)
        return cls(score, found.strict / every, found.direct / every, found.disconnected / every, pairs)


@dataclass(eq=False)
class ClassGraph:
    """A neighbour graph with classes as numbers from 0 on, one a point."""

    graph: csr_array
    classes: Int[np.ndarray, " point"]
    settings: GraphSettings
    _pool: Paths | None = field(init=False, default=None)

    @classmethod
    def of(
        cls, x: Float[Tensor, "row d"], classes: Int[np.ndarray, " row"], settings: GraphSettings
    ) -> ClassGraph:
        """The graph of some rows."""
        return cls(neighbour_graph(x, settings.k), classes, settings)

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self.classes.max()) + 1

    def shares(self, rng: np.random.Generator) -> list[Shares]:
        """Each class's shares, over all pairs or those from a sample of sources."""
        found = [Tally() for _ in range(self.n_classes)]
        for number, into in enumerate(found):
            inside = self.classes == number
            for paths in shortest_paths(self.graph, self._sources(inside, rng)):
                tally(paths, inside, into)
        return [Shares.of(one, self.settings.disconnected) for one in found]

    def chance(self) -> Float[np.ndarray, " class"]:
        """The mean score of each class over all permutations of the labels on this graph, exactly.

        A pair that is joined scores 1, one that no way joins 0 (or does not count), and on any other path
        each interior point is in the class as often as any other point is.
        """
        n = self.graph.shape[0]
        pairs = n * (n - 1)
        joined = self.graph.nnz / pairs
        sizes = np.bincount(connected_components(self.graph, directed=False)[1])
        apart = 1 - float((sizes * (sizes - 1)).sum()) / pairs
        others = (np.bincount(self.classes) - 2) / max(n - 2, 1)
        expected = joined + (1 - joined - apart) * others
        return expected if self.settings.disconnected == "zero" else expected / max(1 - apart, 1e-300)

    def permuted(self, times: int, rng: np.random.Generator) -> Float[np.ndarray, "time class"]:
        """Each class's score for permuted labels, over pairs from a pool of sources (all, if they fit)."""
        pool = self._paths_of_pool(rng)
        found = np.empty((times, self.n_classes))
        for time in range(times):
            labels = rng.permutation(self.classes)
            for number in range(self.n_classes):
                inside = labels == number
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

    def _paths_of_pool(self, rng: np.random.Generator) -> Paths:
        if self._pool is None:
            n = self.graph.shape[0]
            wanted = self.settings.sources_per_class
            fit = max(2, min(n, _POOL_BYTES // (4 * n)))
            size = fit if wanted is None else min(fit, wanted * self.n_classes)
            sources = np.sort(rng.choice(n, size, replace=False))
            parts = list(shortest_paths(self.graph, sources))
            self._pool = Paths(sources, np.concatenate([part.before for part in parts]))
        return self._pool


def half_sample_errors(
    x: Float[Tensor, "row d"],
    classes: Int[np.ndarray, " row"],
    settings: GraphSettings,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, " class"], float]:
    """Standard errors of the classes' scores and of their mean: their spread over halves of each class.

    The spread of a mean over halves drawn without replacement is the standard error of that over all rows.
    """
    members = [np.flatnonzero(classes == number) for number in range(int(classes.max()) + 1)]
    found = []
    for _ in range(resamples):
        rows = np.sort(np.concatenate([rng.choice(own, len(own) // 2, replace=False) for own in members]))
        part = ClassGraph.of(x[torch.from_numpy(rows).to(x.device)], classes[rows], settings)
        found.append([one.score for one in part.shares(rng)])
    scores = np.array(found)
    return scores.std(0, ddof=1), float(scores.mean(1).std(ddof=1))
