"""The verb: is a class a convex region of what the model computes?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._convexity_result import Convexity, SiteConvexity
from conceptscope.analyses._convexity_settings import ConvexitySettings, Predict
from conceptscope.analyses._row_classes import RowClasses
from conceptscope.analyses._site_convexity import site_convexity
from conceptscope.hooks import Activations, Site
from conceptscope.hooks._activations import check_activations
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._random import drawn_seed, torch_generator
from conceptscope.hooks._rows import check_size

_MANY_ROWS = 2000
"""From so many on, starting processes is little beside their work."""


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
    workers: int | None = None,
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
    null: chance, of graphs: "analytic" is the exact mean score over permutations of the rows' labels;
        "permute" adds p-values, by that many permutations. These keep the groups of the activations together
        (and stay within them where groups have several classes), and chance is then their mean; without
        groups rows are taken as exchangeable, which those of one text, template or word are not.
    ci: "half_sample": standard errors from so many halves of each class's rows or groups, graphs made anew.
    predict: the rest of a network, from rows to labels; None is a logistic regression fitted on the site's
        rows, so that the score says how far its own regions are those of the labels.
    pairs: how many segments of each class are drawn at most.
    workers: how many processes share the sites; None is one a core where rows are many and ``predict`` is
        not given, which would be copied into each. Rows on a GPU stay in this process. The numbers are the
        same, and those of a site do not depend on the other sites.

    Graph scores do not change under rotations, shifts and a common scale, Euclidean ones under no affine map
    that ``predict`` follows. Neither says that the model uses the region.

    Raises:
        TypeError: what holds no activations.
        ValueError: no labels, or one class; a class of one row, or of fewer than four groups (without groups,
            rows) to halve; too few rows for k; values that are not finite; a row of zeros and the cosine; an
            unknown kind, metric, null, ci or disconnected; predictions of another number than rows.

    Source: arXiv 2305.17154; chance, p and standard errors are this project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> acts = cs.Activations({"embed": torch.arange(12.0)[:, None]}, ["low"] * 6 + ["high"] * 6)
    >>> cs.convexity(acts, k=2, ci=None)["embed"].mean
    1.0
    """
    settings = ConvexitySettings(
        kind=kind,
        k=k,
        metric=metric,
        sources_per_class=sources_per_class,
        disconnected=disconnected,
        null=null,
        permutations=permutations,
        ci=ci,
        resamples=resamples,
        predict=predict,
        pairs=pairs,
    )
    if workers is not None:
        check_size("workers", workers)
    check_activations(activations)
    known = activations if labels is None else activations.with_labels(labels)
    rows = RowClasses.of(known)
    settings.check_rows(rows)
    source = torch_generator(generator)
    state, seed = source.get_state(), drawn_seed(source)
    found = []
    with progress_bar("convexity", len(known), progress) as done:
        for one in _by_site(known, rows, settings, seed, workers):
            found.append(one)
            done(1)
    return Convexity(tuple(found), kind, known.n_rows, settings.about(), dict(known.source), state)


def _by_site(
    activations: Activations, rows: RowClasses, settings: ConvexitySettings, seed: int, workers: int | None
) -> Iterator[SiteConvexity]:
    """The sites in their order; no more of them are in memory than there are processes, and the next one."""
    given = ((site, _checked(site, activations[site], settings.metric)) for site in activations.sites)
    processes = _processes(activations, settings, workers)
    if processes == 1:
        for site, x in given:
            yield site_convexity(site, x, rows, settings, _site_generator(seed, site))
        return
    from joblib import Parallel, delayed

    jobs = (
        delayed(_in_process)(site, x.numpy(), rows, settings, _site_generator(seed, site))
        for site, x in given
    )
    yield from Parallel(processes, return_as="generator", pre_dispatch=processes, max_nbytes=None)(jobs)


def _in_process(
    site: Site,
    x: Float[np.ndarray, "row d"],
    rows: RowClasses,
    settings: ConvexitySettings,
    rng: np.random.Generator,
) -> SiteConvexity:
    return site_convexity(site, torch.from_numpy(x), rows, settings, rng)


def _processes(activations: Activations, settings: ConvexitySettings, workers: int | None) -> int:
    from joblib import cpu_count

    on_gpu = activations[activations.sites[0]].device.type != "cpu"
    pays = activations.n_rows >= _MANY_ROWS and settings.predict is None
    if on_gpu or (workers is None and not pays):
        return 1
    return min(workers or cpu_count(), len(activations))


def _site_generator(seed: int, site: Site) -> np.random.Generator:
    return np.random.default_rng([seed, *str(site).encode()])


def _checked(site: Site, tensor: Tensor, metric: str) -> Float[Tensor, "row d"]:
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
