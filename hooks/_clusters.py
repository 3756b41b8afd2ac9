"""Which rows belong together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def clusters(n: int, *links: Sequence[Hashable] | None) -> list[int]:
    """One cluster number per row: rows that share a value in any of the links are in the same cluster.

    None as a value links nothing. Numbers count up from 0 in the order of first appearance.

    >>> clusters(4, ["a", "a", "b", "c"], [0, 1, 1, 2])
    [0, 0, 0, 1]
    """
    parent = list(range(n))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for link in links:
        first: dict[Hashable, int] = {}
        for row, value in enumerate(link or ()):
            if value is not None:
                low, high = sorted((root(row), root(first.setdefault(value, row))))
                parent[high] = low
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(row), len(numbers)) for row in range(n)]
