"""The verb: is a class a convex region of what the model computes?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.analyses._convexity_result import ClassConvexity, Convexity, SiteConvexity
from conceptscope.analyses._euclidean_convexity import Classify, euclidean_shares
from conceptscope.analyses._graph_convexity import ClassGraph, GraphSettings, Shares, half_sample_errors
from conceptscope.analyses._neighbours import METRICS
from conceptscope.hooks import Activations, Site
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes._labelled import label_codes

KINDS, DISCONNECTED, NULLS, CIS = (
    ("graph", "euclidean"),
    ("zero", "exclude"),
    ("analytic", "permute"),
    ("half_sample",),
)
_FEWEST = 2

Predict = Callable[[Float[Tensor, "row d"]], Sequence[Any]]
"""Gives the label of each row."""


@dataclass(frozen=True)
class _Settings:
    """What `convexity` was asked for, checked."""

    kind: str
    graph: GraphSettings
    metric: str
    null: str | None
    permutations: int
    ci: str | None
    resamples: int
    predict: Predict | None
    pairs: int


def convexity(
    activations: Activations,
    labels: Any = None,
    *,
    kind: str = "graph",
    k: int = 10,
    metric: str = "euclidean",
    sources_per_class: int | None = None,
    disconnected: str = "zero",
    null: str | None = "analytic",
    permutations: int = 200,
    ci: str | None = "half_sample",
    resamples: int = 40,
    predict: Predict | None = None,
    pairs: int = 5000,
    generator: int | torch.Generator = 0,
    progress: bool = False,
) -> Convexity:
    """How convex the region of each class is, at each site.

    kind: "graph": rows are joined to their k nearest ones, and of the points inside the shortest path between
        two rows of a class the share in the class is taken; neighbours score 1. "euclidean": of ten points
        on the segment between two rows of a class the share that ``predict`` puts into the class.
    labels: of the rows; by default those of the activations. Predicted labels may be given too.
    metric: "euclidean", or "cosine", which takes the rows' lengths away; of both kinds.
    sources_per_class: from how many rows of each class paths are followed, to all others; None is all.
    disconnected: what pairs count that no path joins: "zero", or "exclude" leaves them out.
    null: "analytic": the exact mean score over permutations of the labels; "permute": p-values too, by
        that many of them. Both take rows as exchangeable, which rows of one text or template are not.
    ci: "half_sample": standard errors from so many halves of each class, graphs made anew.
    predict: the rest of a network, from rows to labels; None is a logistic regression fitted on the site's
        rows, so that the score says how far its own regions are those of the labels.
    pairs: how many segments of each class are drawn at most.

    Graph scores do not change under rotations, shifts and a common scale, Euclidean ones under no affine map
    that ``predict`` follows. Neither says that the model uses the region.

    Raises:
        ValueError: no labels, or one class; a class of one row; too few rows for k; values that are not
            finite; an unknown kind, metric, null, ci or disconnected.

    Source: arXiv 2305.17154; chance, p and standard errors are this project's.

    >>> import conceptscope as cs
    >>> acts = cs.Activations({"embed": torch.arange(12.0)[:, None]}, ["low"] * 6 + ["high"] * 6)
    >>> cs.convexity(acts, k=2, ci=None)["embed"].mean
    1.0
    """
    settings = _Settings(
        _one_of("kind", kind, KINDS),
        GraphSettings(
            _whole("k", k, 1), sources_per_class, _one_of("disconnected", disconnected, DISCONNECTED)
        ),
        _one_of("metric", metric, METRICS),
        null if null is None else _one_of("null", null, NULLS),
        _whole("permutations", permutations, 1),
        ci if ci is None else _one_of("ci", ci, CIS),
        _whole("resamples", resamples, 2),
        predict,
        _whole("pairs", pairs, 1),
    )
    if sources_per_class is not None:
        _whole("sources_per_class", sources_per_class, 1)
    known = activations if labels is None else activations.with_labels(labels)
    codes, classes = label_codes(known)
    numbers = codes.cpu().numpy()
    _check_classes(numbers, classes, settings)
    source = torch_generator(generator)
    state, rng = source.get_state(), numpy_generator(source)
    found = []
    with progress_bar("convexity", len(activations), progress) as done:
        for site in activations.sites:
            found.append(_at_site(site, activations[site], numbers, classes, settings, rng))
            done(1)
    about = {"k": k, "metric": metric, "disconnected": disconnected, "sources_per_class": sources_per_class}
    return Convexity(tuple(found), kind, activations.n_rows, about, dict(activations.source), state)


def _at_site(
    site: Site,
    tensor: Tensor,
    classes: Int[np.ndarray, " row"],
    labels: Sequence[Any],
    settings: _Settings,
    rng: np.random.Generator,
) -> SiteConvexity:
    x = _rows(site, tensor, settings.metric)
    if settings.kind == "graph":
        return _of_graph(site, x, classes, labels, settings, rng)
    classify = _classifier(x, classes, labels, settings.predict)
    return _result(site, classes, labels, euclidean_shares(x, classes, classify, settings.pairs, rng))


def _of_graph(
    site: Site,
    x: Float[Tensor, "row d"],
    classes: Int[np.ndarray, " row"],
    labels: Sequence[Any],
    settings: _Settings,
    rng: np.random.Generator,
) -> SiteConvexity:
    graph = ClassGraph.of(x, classes, settings.graph)
    shares = graph.shares(rng)
    null = graph.permuted(settings.permutations, rng) if settings.null == "permute" else None
    errors = half_sample_errors(x, classes, settings.graph, settings.resamples, rng) if settings.ci else None
    chance = graph.chance() if settings.null else None
    return _result(site, classes, labels, shares, chance, null, errors, graph.degree_skew())


def _result(
    site: Site,
    classes: Int[np.ndarray, " row"],
    labels: Sequence[Any],
    shares: Sequence[Shares],
    chance: Float[np.ndarray, " class"] | None = None,
    null: Float[np.ndarray, "time class"] | None = None,
    errors: tuple[Float[np.ndarray, " class"], float] | None = None,
    degree_skew: float | None = None,
) -> SiteConvexity:
    scores = np.array([one.score for one in shares])
    counts = np.bincount(classes).tolist()
    pairs = np.array([one.pairs for one in shares])
    is_graph = degree_skew is not None
    found = tuple(
        ClassConvexity(
            label,
            counts[number],
            one.score,
            one.strict,
            one.direct if is_graph else None,
            one.disconnected if is_graph else None,
            None if chance is None else float(chance[number]),
            None if null is None else _p(one.score, null[:, number]),
            None if errors is None else float(errors[0][number]),
        )
        for number, (label, one) in enumerate(zip(labels, shares, strict=True))
    )
    return SiteConvexity(
        site,
        found,
        float(scores.mean()),
        float((scores * pairs).sum() / pairs.sum()),
        None if chance is None else float(chance.mean()),
        None if null is None else _p(float(scores.mean()), null.mean(1)),
        None if errors is None else errors[1],
        degree_skew,
    )


def _p(score: float, null: Float[np.ndarray, " time"]) -> float:
    return float((1 + (null >= score - 1e-12).sum()) / (1 + len(null)))


def _rows(site: Site, tensor: Tensor, metric: str) -> Float[Tensor, "row d"]:
    x = tensor.flatten(1)
    x = x if x.dtype == torch.float64 else x.float()
    bad = ~x.isfinite().all(1)
    if bad.any():
        raise ValueError(
            f"{int(bad.sum())} of {len(x)} rows at {site} have values that are not finite, the first is row "
            f"{int(bad.nonzero()[0])}: leave them out"
        )
    if metric == "euclidean":
        return x
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    if not lengths.all():
        raise ValueError(f"row {int((lengths == 0).nonzero()[0, 0])} at {site} is zero: it has no cosine")
    return x / lengths


def _classifier(
    x: Float[Tensor, "row d"],
    classes: Int[np.ndarray, " row"],
    labels: Sequence[Any],
    predict: Predict | None,
) -> Classify:
    if predict is None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        head.fit(x.cpu().numpy(), classes)
        return lambda rows: np.asarray(head.predict(rows.cpu().numpy()))
    number = {label: code for code, label in enumerate(labels)}

    def given(rows: Float[Tensor, "row d"]) -> Int[np.ndarray, " row"]:
        said = predict(rows)
        listed = said.tolist() if hasattr(said, "tolist") else list(said)
        if len(listed) != len(rows):
            raise ValueError(f"predict= must give one label a row: it got {len(rows)} and gave {len(listed)}")
        return np.array([number.get(label, -1) for label in listed])

    return given


def _check_classes(codes: Int[np.ndarray, " row"], classes: Sequence[Any], settings: _Settings) -> None:
    counts = np.bincount(codes)
    halved = settings.ci is not None and settings.kind == "graph"
    fewest = 2 * _FEWEST if halved else _FEWEST
    least = int(counts.argmin())
    if counts[least] < fewest:
        remedy = "with ci=None two would do, or " if halved and counts[least] >= _FEWEST else ""
        raise ValueError(
            f"the class {classes[least]!r} has {counts[least]} row{'' if counts[least] == 1 else 's'}, and "
            f"convexity needs {fewest}: {remedy}give more rows, or leave the class out"
        )
    rows = sum(int(count) // 2 for count in counts) if halved else len(codes)
    if settings.kind == "graph" and settings.graph.k >= rows:
        halves = " in each half" if halved else ""
        raise ValueError(
            f"k={settings.graph.k} neighbours need more than the {rows} rows{halves}: take a smaller k"
        )


def _one_of(name: str, given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {given!r}")
    return given


def _whole(name: str, given: int, least: int) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < least:
        raise ValueError(f"{name} must be a whole number, {least} or more; got {given!r}")
    return given
