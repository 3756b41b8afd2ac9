"""Whether classes that are convex are those that a model does well on."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from conceptscope.hooks._clusters import clusters as clusters_of
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.hooks._rows import as_list
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_FEWEST_CLUSTERS = 3
_LEAST_RESAMPLES = 100


@dataclass(frozen=True, repr=False)
class ConvexityPerformance:
    """How convexity goes with performance over classes: r and its interval; see `convexity_vs_performance`.

    scores, performance: one value a class; cluster: which values belong together.
    """

    r: float
    low: float
    high: float
    scores: tuple[float, ...]
    performance: tuple[float, ...]
    cluster: tuple[int, ...]
    generator_state: UInt8[Tensor, " byte"] | None = field(default=None, repr=False, compare=False)

    @property
    def n_clusters(self) -> int:
        """How many clusters were drawn from."""
        return max(self.cluster) + 1

    def to_frame(self) -> pd.DataFrame:
        """One row a class: score, performance, cluster."""
        import pandas as pd

        return pd.DataFrame({"score": self.scores, "performance": self.performance, "cluster": self.cluster})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Performance over score, with the least-squares line."""
        from conceptscope.analyses._convexity_plot import plot_performance

        return plot_performance(self, ax)

    def __repr__(self) -> str:
        return (
            f"ConvexityPerformance(r = {self.r:.2f} [{self.low:.2f}, {self.high:.2f}], "
            f"{len(self.scores)} classes in {self.n_clusters} clusters)"
        )

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.to_frame())


def convexity_vs_performance(
    scores: Any,
    performance: Any,
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 2000,
    generator: int | torch.Generator = 0,
) -> ConvexityPerformance:
    """How the convexity of classes goes with how well a model does on them: Pearson's r and its interval.

    scores, performance: one value each for every class (and model, or seed), such as the convexity before
        fine-tuning and the recall after it.
    clusters: which values belong together, such as those of one model; these are drawn as a whole for the
        95 % interval, the percentiles of that many draws. By default each value is drawn alone, which is too
        sure of itself where classes share a model.

    The interval does not say whether anything beside convexity, such as how far classes are apart, is behind
    it.

    Raises:
        ValueError: lists of different lengths; values that are not finite or all the same; fewer than three
            clusters or 100 resamples.

    Source: arXiv 2305.17154, section 3.3; the clusters are this project's.

    >>> import conceptscope as cs
    >>> cs.convexity_vs_performance([0.2, 0.4, 0.6, 0.9], [0.5, 0.6, 0.6, 0.8]).r > 0.9
    True
    """
    x, y = _values("scores", scores), _values("performance", performance)
    given = None if clusters is None else as_list(clusters)
    if len(x) != len(y) or (given is not None and len(given) != len(x)):
        raise ValueError(
            f"there are {len(x)} scores, {len(y)} values of performance"
            + ("" if given is None else f" and {len(given)} clusters")
            + ": each class needs one of each"
        )
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < _LEAST_RESAMPLES:
        raise ValueError(f"resamples must be a whole number, {_LEAST_RESAMPLES} or more; got {resamples!r}")
    cluster = np.array(clusters_of(len(x), given))
    n_clusters = int(cluster.max()) + 1
    if n_clusters < _FEWEST_CLUSTERS:
        raise ValueError(f"an interval needs {_FEWEST_CLUSTERS} clusters or more, and there are {n_clusters}")
    source = torch_generator(generator)
    state = source.get_state()
    drawn = _drawn(cluster, resamples, numpy_generator(source))
    low, high = np.nanquantile(_correlation(x, y, drawn), [0.025, 0.975]).tolist()
    r = float(_correlation(x, y, np.ones((1, len(x))))[0])
    return ConvexityPerformance(
        r, low, high, tuple(x.tolist()), tuple(y.tolist()), tuple(cluster.tolist()), state
    )


def _values(name: str, given: Any) -> Float[np.ndarray, " class"]:
    values = np.asarray(as_list(given), dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite numbers, one for each class: leave out what was not measured"
        )
    if len(values) < 2 or np.ptp(values) == 0:
        raise ValueError(f"{name} are all the same: there is no correlation with a constant")
    return values


def _drawn(
    cluster: Int[np.ndarray, " class"], resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, "resample class"]:
    """How often each value is drawn in each resample of whole clusters."""
    n = int(cluster.max()) + 1
    times: Float[np.ndarray, "resample class"] = rng.multinomial(n, np.full(n, 1 / n), resamples)[:, cluster]
    return times


def _correlation(
    x: Float[np.ndarray, " class"],
    y: Float[np.ndarray, " class"],
    weights: Float[np.ndarray, "resample class"],
) -> Float[np.ndarray, " resample"]:
    """Pearson's r with each value counted so many times; nan where a draw is of one value only."""
    share = weights / weights.sum(1, keepdims=True)
    dx, dy = x - (share @ x)[:, None], y - (share @ y)[:, None]
    xx, yy, xy = ((share * a * b).sum(1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    spread = np.sqrt(xx * yy)
    known = (weights > 0).sum(1) > 1
    found: Float[np.ndarray, " resample"] = np.where(
        known & (spread > 0), xy / np.where(spread > 0, spread, 1), np.nan
    )
    return found
