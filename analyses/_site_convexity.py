"""The convexity of all classes at one site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.analyses._convexity_result import ClassConvexity, SiteConvexity
from conceptscope.analyses._convexity_settings import ConvexitySettings
from conceptscope.analyses._euclidean_convexity import Classify, Segments, fitted_head, numbered
from conceptscope.analyses._graph_convexity import RowGraph, Shares
from conceptscope.analyses._half_samples import Errors, half_sample_errors
from conceptscope.analyses._row_classes import RowClasses
from conceptscope.hooks import Site


@dataclass(frozen=True, eq=False)
class _Null:
    """The scores that shuffled labels have: their means, and where they were drawn all of them."""

    chance: Float[np.ndarray, " class"]
    drawn: Float[np.ndarray, "time class"] | None = None


def site_convexity(
    site: Site,
    x: Float[Tensor, "row d"],
    rows: RowClasses,
    settings: ConvexitySettings,
    rng: np.random.Generator,
) -> SiteConvexity:
    """Scores, chance and errors of each class, from rows that are finite and, for the cosine, normed."""
    if settings.kind == "graph":
        return _of_graph(site, x, rows, settings, rng)
    return _of_segments(site, x, rows, settings, rng)


def _of_graph(
    site: Site,
    x: Float[Tensor, "row d"],
    rows: RowClasses,
    settings: ConvexitySettings,
    rng: np.random.Generator,
) -> SiteConvexity:
    graph = RowGraph.of(x, settings.graph)
    shares = graph.shares(rows.codes, rng)
    null = _null(graph, rows, settings, rng)

    def scores_of_half(part: Int[np.ndarray, " part"]) -> list[float]:
        half = RowGraph.of(x[torch.from_numpy(part).to(x.device)], settings.graph)
        return [one.score for one in half.shares(rows.codes[part], rng)]

    errors = half_sample_errors(rows, scores_of_half, settings.resamples, rng) if settings.ci else None
    return _result(site, rows, shares, null, errors, graph.degree_skew())


def _null(
    graph: RowGraph, rows: RowClasses, settings: ConvexitySettings, rng: np.random.Generator
) -> _Null | None:
    if settings.null is None:
        return None
    if settings.null == "analytic":
        return _Null(graph.chance(rows.codes))
    drawn = graph.shuffled(rows, settings.permutations, rng)
    grouped = int(rows.group.max()) + 1 < len(rows.group)
    return _Null(np.nanmean(drawn, 0) if grouped else graph.chance(rows.codes), drawn)


def _of_segments(
    site: Site,
    x: Float[Tensor, "row d"],
    rows: RowClasses,
    settings: ConvexitySettings,
    rng: np.random.Generator,
) -> SiteConvexity:
    head: Classify = (
        fitted_head(x, rows.codes) if settings.predict is None else numbered(settings.predict, rows.labels)
    )
    segments = Segments.of(x, rows.codes, head, settings.pairs, rng)

    def scores_of_half(part: Int[np.ndarray, " part"]) -> list[float]:
        return [one.score for one in segments.among(part).shares()]

    errors = half_sample_errors(rows, scores_of_half, settings.resamples, rng) if settings.ci else None
    return _result(site, rows, segments.shares(), None, errors, None)


def _result(
    site: Site,
    rows: RowClasses,
    shares: Sequence[Shares],
    null: _Null | None,
    errors: Errors | None,
    degree_skew: float | None,
) -> SiteConvexity:
    scores = np.array([one.score for one in shares])
    pairs = np.array([one.pairs for one in shares])
    counts = np.bincount(rows.codes).tolist()
    drawn = None if null is None else null.drawn
    found = tuple(
        ClassConvexity(
            label,
            counts[number],
            one.score,
            one.strict,
            one.direct,
            one.disconnected,
            None if null is None else float(null.chance[number]),
            None if drawn is None else _p(one.score, drawn[:, number]),
            None if errors is None else float(errors.classes[number]),
        )
        for number, (label, one) in enumerate(zip(rows.labels, shares, strict=True))
    )
    return SiteConvexity(
        site,
        found,
        float(scores.mean()),
        float(scores[pairs > 0] @ pairs[pairs > 0] / max(pairs.sum(), 1)),
        None if null is None else float(null.chance.mean()),
        None if drawn is None else _p(float(scores.mean()), drawn.mean(1)),
        None if errors is None else errors.mean,
        degree_skew,
    )


def _p(score: float, null: Float[np.ndarray, " time"]) -> float:
    """The share of shuffles with as great a score, itself counted; a class may lack pairs in some."""
    known = null[~np.isnan(null)]
    if np.isnan(score) or not len(known):
        return float("nan")
    return float((1 + (known >= score - 1e-12).sum()) / (1 + len(known)))
