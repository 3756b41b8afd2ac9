"""The verb: which few terms of a library make up a quantity?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from conceptscope.analyses._best_subsets import Ranked, best_subsets, n_subsets, pursued
from conceptscope.analyses._formula_noise import noise_survived
from conceptscope.analyses._formula_result import Formula, SizedFormula
from conceptscope.analyses._reduced_library import ReducedLibrary
from conceptscope.hooks._random import numpy_generator, torch_generator

_WAYS = {"exhaustive": best_subsets, "omp": pursued}
_MOST_SUBSETS = 500_000
_EXACT = 1e-20
"""The share of y's squared length below which what is left is rounding."""


def sparse_formula(
    library: Mapping[str, Any],
    y: Any,
    *,
    max_terms: int = 6,
    method: str = "exhaustive",
    generator: int | torch.Generator = 0,
) -> Formula:
    """The terms, at most so many, whose weighted sum comes closest to y.

    library: the values of each term by name, one for each example; a constant is a term of ones.
    y: one value for each example, such as a model's output, or what a component contributes to it.
    method: "exhaustive" fits every subset, so that none of its size is better; "omp" takes the term that
        goes best with what is left, again and again: fast, and wrong where terms go together.
    generator: of the noise that is added to y, to see how much of it the choice of terms survives; only
        where every subset is fitted.

    How many terms there are is decided by the least extended BIC, which takes examples as independent: where
    they are not, as with neighbouring inputs, it takes too many. `Formula.to_frame()` has the best subset of
    each size with the runner-up.

    Raises:
        ValueError: no terms; another number of values than y has, or not more of them than terms; values that
            are not finite; a term that is zero or the sum of others; max_terms that is not a whole number
            above 0; more than 500,000 subsets; an unknown method.

    Source: Chen and Chen 2008, Biometrika 95, for the criterion, with gamma = 1.

    >>> import conceptscope as cs
    >>> import numpy as np
    >>> x = np.linspace(1, 2, 50)
    >>> library = {"x": x, "x²": x**2, "log x": np.log(x), "1/x": 1 / x}
    >>> print(cs.sparse_formula(library, 3 * x**2 - 2 / x).chosen)
    3 x² - 2 1/x
    """
    if method not in _WAYS:
        raise ValueError(f"method must be one of {', '.join(map(repr, _WAYS))}; got {method!r}")
    if isinstance(max_terms, bool) or not isinstance(max_terms, int) or max_terms < 1:
        raise ValueError(f"max_terms must be a whole number above 0, got {max_terms!r}")
    reduced = ReducedLibrary.of(library, y)
    most = min(max_terms, reduced.n_terms)
    if method == "exhaustive":
        _check_number(reduced.n_terms, most)
    source = torch_generator(generator)
    state = source.get_state()
    ranked = [_WAYS[method](reduced, size) for size in range(1, most + 1)]
    sizes = tuple(_sized(reduced, one) for one in ranked)
    best = min(range(most), key=lambda number: sizes[number].ebic)
    survived = None
    if method == "exhaustive":
        survived = noise_survived(reduced, ranked[best].terms[0], numpy_generator(source))
    return Formula(sizes, best, survived, reduced.names, reduced.n_examples, method, state)


def _check_number(n_terms: int, most: int) -> None:
    found = n_subsets(n_terms, most)
    if found > _MOST_SUBSETS:
        raise ValueError(
            f"{n_terms} terms have {found:,} subsets of at most {most}, and {_MOST_SUBSETS:,} can be fitted: "
            "take a smaller library or max_terms, or method='omp'"
        )


def _sized(reduced: ReducedLibrary, ranked: Ranked) -> SizedFormula:
    chosen, left = ranked.terms[0], float(ranked.left[0])
    coefficients, errors = reduced.coefficients(chosen, left)
    second = len(ranked.left) > 1
    return SizedFormula(
        terms=_named(reduced, chosen),
        coefficients=tuple(coefficients.tolist()),
        errors=tuple(errors.tolist()),
        rms=math.sqrt(left / reduced.n_examples),
        r2=1 - left / reduced.scatter if reduced.scatter else math.nan,
        ebic=_ebic(reduced, left, len(chosen)),
        runner_up=_named(reduced, ranked.terms[1]) if second else None,
        runner_up_rms=math.sqrt(ranked.left[1] / reduced.n_examples) if second else None,
    )


def _ebic(reduced: ReducedLibrary, left: float, size: int) -> float:
    n = reduced.n_examples
    unexplained = max(left, _EXACT * reduced.total, np.finfo(float).tiny)
    ways = math.comb(reduced.n_terms, size)
    return n * math.log(unexplained / n) + size * math.log(n) + 2 * math.log(ways)


def _named(reduced: ReducedLibrary, chosen: np.ndarray) -> tuple[str, ...]:
    return tuple(reduced.names[number] for number in chosen)
