"""Interaction indices of a game whose AND effects are few, exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import combinations
from math import comb

from conceptscope.analyses._fourier_screening import Support

Effects = Mapping[Support, float]
"""AND effects by their players, as numbers in increasing order; all others are zero."""

Share = Callable[[int, int], float]
"""How much of an effect of so many players goes to a subset of so many."""


def sparse_shapley(effects: Effects) -> dict[Support, float]:
    """Shapley values: an effect is shared equally by its players.

    >>> sparse_shapley({(): 3.0, (0,): 1.0, (0, 4): 2.0})
    {(0,): 2.0, (4,): 1.0}
    """
    return sparse_sii(effects, 1)


def sparse_sii(effects: Effects, k: int) -> dict[Support, float]:
    """The Shapley interaction index of sets of 1 to k players; a set that is left out has zero.

    Raises:
        ValueError: an order below 1.

    Source: Grabisch and Roubens 1999, International Journal of Game Theory 28:547.
    """
    return _shared(effects, k, lambda size, part: 1 / (size - part + 1))


def sparse_banzhaf(effects: Effects, k: int = 1) -> dict[Support, float]:
    """The Banzhaf interaction index of sets of 1 to k players; a set that is left out has zero.

    Raises:
        ValueError: an order below 1.

    Source: Grabisch and Roubens 1999, International Journal of Game Theory 28:547.
    """
    return _shared(effects, k, lambda size, part: 0.5 ** (size - part))


def sparse_stii(effects: Effects, k: int) -> dict[Support, float]:
    """The Shapley-Taylor index of sets of 1 to k players; a set that is left out has zero.

    Sets of fewer than k players have their own effect, those of k an equal part of each effect above them.

    Raises:
        ValueError: an order below 1.

    Source: arXiv 1902.05622.
    """
    return _shared(effects, k, lambda size, part: 1 / comb(size, k) if part == k else float(size == part))


def sparse_fsii(effects: Effects, k: int) -> dict[Support, float]:
    """The faithful Shapley index of sets of 1 to k players; a set that is left out has zero.

    Raises:
        ValueError: an order below 1.

    Source: arXiv 2203.00870, theorem 19.
    """

    def share(size: int, part: int) -> float:
        if size <= k:
            return float(size == part)
        sign = 1 if (k - part) % 2 == 0 else -1
        return sign * part / (k + part) * comb(k, part) * comb(size - 1, k) / comb(size + k - 1, k + part)

    return _shared(effects, k, share)


def _shared(effects: Effects, k: int, share: Share) -> dict[Support, float]:
    """Every effect's shares added up for its subsets of 1 to k players."""
    if k < 1:
        raise ValueError(f"the order of an index is at least 1, got {k}")
    found: defaultdict[Support, float] = defaultdict(float)
    for players, effect in effects.items():
        for part in range(1, min(k, len(players)) + 1):
            given = effect * share(len(players), part)
            if given:
                for chosen in combinations(players, part):
                    found[chosen] += given
    return dict(sorted(found.items(), key=lambda entry: (len(entry[0]), entry[0])))
