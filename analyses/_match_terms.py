"""The verb: which known terms do features follow, once the terms' common course is taken away?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from conceptscope.analyses._partial_correlation import partial_correlations, plain_correlations
from conceptscope.analyses._reduced_library import finite_matrix, term_matrix
from conceptscope.analyses._term_matches import TermMatch, TermMatches
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.hooks._rows import as_list

_LEAST_RESAMPLES = 100
_LEAST_GROUPS = 3
_MEAN = "the mean"


def match_terms(
    features: Float[torch.Tensor, "example component"],
    terms: Mapping[str, Any],
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 200,
    generator: int | torch.Generator = 0,
) -> TermMatches:
    """The partial correlation of each feature with each term: of what all other terms leave of both.

    A plain correlation says little where terms rise together: a feature that follows one of them correlates
    with all.

    features: one column a component, such as `ReadoutContributions.contributions`.
    terms: the values of each by name, one for each example. The mean is taken away too.
    groups: which examples belong together; these are drawn as a whole for the 95 % intervals, the percentiles
        of that many draws. By default each example is drawn alone, which is too sure of itself where
        neighbouring inputs have neighbouring values.

    Raises:
        ValueError: features that are no matrix of finite numbers; no terms; another number of values than
            examples, or not more examples than terms and the mean; values that are not finite; a term that
            is constant or the sum of others; groups of another number, or fewer than three; fewer than 100
            resamples.

    Source: arXiv 2405.17425, section 5, whose correlations are the plain ones.

    >>> import conceptscope as cs
    >>> import torch
    >>> x = torch.linspace(0, 1, 50)
    >>> noise = torch.randn(50, generator=torch.Generator().manual_seed(0))
    >>> found = cs.match_terms((x**2 + 0.01 * noise)[:, None], {"x": x, "x²": x**2})
    >>> found.best(0).term
    'x²'
    """
    values = finite_matrix("features", features)
    if not terms:
        raise ValueError("there are no terms: give {name: values, one for each example}")
    columns = term_matrix({**terms, _MEAN: np.ones(len(values))}, len(values))
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < _LEAST_RESAMPLES:
        raise ValueError(f"resamples must be a whole number, {_LEAST_RESAMPLES} or more; got {resamples!r}")
    group = _group_numbers(groups, len(values))
    source = torch_generator(generator)
    state = source.get_state()
    low, high = _interval(values, columns, group, resamples, numpy_generator(source))
    found = partial_correlations(values, columns, np.ones(len(values)))
    plain = plain_correlations(values, columns)
    matches = tuple(
        TermMatch(row, name, *(float(part[row, at]) for part in (found, low, high, plain)))
        for row in range(values.shape[1])
        for at, name in enumerate(terms)
    )
    return TermMatches(matches, len(values), int(group.max()) + 1, state)


def _interval(
    values: Float[np.ndarray, "example component"],
    columns: Float[np.ndarray, "example term"],
    group: Int[np.ndarray, " example"],
    resamples: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "2 component term"]:
    n = int(group.max()) + 1
    times = rng.multinomial(n, np.full(n, 1 / n), resamples)
    draws = []
    for row in times:
        drawn = row[group] > 0
        draws.append(partial_correlations(values[drawn], columns[drawn], row[group][drawn]))
    known = np.array(draws)
    missing = np.isnan(known).all(0)
    ends: Float[np.ndarray, "2 component term"]
    ends = np.nanquantile(np.where(missing, 0, known), [0.025, 0.975], axis=0)
    return np.where(missing, np.nan, ends)


def _group_numbers(groups: Sequence[Hashable] | None, n: int) -> Int[np.ndarray, " example"]:
    given = None if groups is None else as_list(groups)
    if given is not None and len(given) != n:
        raise ValueError(f"there are {len(given)} groups for {n} examples: each needs one")
    found: Int[np.ndarray, " example"] = np.array(clusters(n, given))
    if found.max() + 1 < _LEAST_GROUPS:
        raise ValueError(f"intervals need {_LEAST_GROUPS} groups or more, and there are {found.max() + 1}")
    return found
