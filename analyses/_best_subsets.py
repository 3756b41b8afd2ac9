"""Subsets of a library's terms, and how close each comes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from conceptscope.analyses._reduced_library import ReducedLibrary

_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class Ranked:
    """The best of some subsets of one size, the second best, and the squared length that each leaves of y."""

    terms: Int[np.ndarray, "rank chosen"]
    left: Float[np.ndarray, " rank"]


def best_subsets(reduced: ReducedLibrary, size: int) -> Ranked:
    """The two best of all subsets of a size, or the only one."""
    terms = np.empty((0, size), dtype=np.int64)
    left = np.empty(0)
    for some in subsets(reduced.n_terms, size):
        basis = bases(reduced, some)
        missed = reduced.target - np.einsum("smk,sk->sm", basis, explained(basis, reduced.target))
        terms = np.concatenate([terms, some])
        left = np.concatenate([left, np.square(missed).sum(1) + reduced.outside])
        first = np.argsort(left, kind="stable")[:2]
        terms, left = terms[first], left[first]
    return Ranked(terms, left)


def pursued(reduced: ReducedLibrary, size: int) -> Ranked:
    """The subset of a size that orthogonal matching pursuit finds."""
    chosen: list[int] = []
    missed = reduced.target
    for _ in range(size):
        match = np.abs(reduced.columns.T @ missed)
        match[chosen] = -1
        chosen.append(int(match.argmax()))
        basis = np.linalg.qr(reduced.columns[:, chosen])[0]
        missed = reduced.target - basis @ (basis.T @ reduced.target)
    left = np.square(missed).sum() + reduced.outside
    return Ranked(np.array([sorted(chosen)]), np.array([left]))


def n_subsets(n_terms: int, most: int) -> int:
    """How many subsets there are of at most so many terms, the empty one left out."""
    return sum(math.comb(n_terms, size) for size in range(1, most + 1))


def subsets(n_terms: int, size: int) -> Iterator[Int[np.ndarray, "subset chosen"]]:
    """All subsets of a size, some at a time."""
    everything = itertools.combinations(range(n_terms), size)
    while some := list(itertools.islice(everything, _AT_ONCE)):
        yield np.array(some)


def bases(
    reduced: ReducedLibrary, terms: Int[np.ndarray, "subset chosen"]
) -> Float[np.ndarray, "subset coordinate chosen"]:
    """An orthonormal basis of what each subset spans."""
    found: Float[np.ndarray, "subset coordinate chosen"]
    found = np.linalg.qr(reduced.columns.T[terms].transpose(0, 2, 1))[0]
    return found


def explained(
    basis: Float[np.ndarray, "subset coordinate chosen"], target: Float[np.ndarray, "coordinate ..."]
) -> Float[np.ndarray, "subset chosen ..."]:
    """What each subset reaches of a target, or of several, in its basis."""
    found: Float[np.ndarray, "subset chosen ..."]
    found = np.tensordot(basis, target, axes=(1, 0))
    return found
