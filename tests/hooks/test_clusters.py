import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from conceptscope.hooks._clusters import clusters


def test_equals_connected_components() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 7, 60):
        links = [rng.integers(0, n, n).tolist(), rng.integers(0, 2 * n, n).tolist()]
        edges = [
            (row, n + at * 2 * n + value) for at, link in enumerate(links) for row, value in enumerate(link)
        ]
        rows, columns = np.array(edges).T
        graph = coo_matrix((np.ones(len(edges)), (rows, columns)), shape=(5 * n, 5 * n))
        expected = connected_components(graph, directed=False)[1][:n]
        found = clusters(n, *links)
        same = np.equal.outer(found, found)
        assert (same == np.equal.outer(expected, expected)).all()
        assert sorted(set(found)) == list(range(len(set(found))))


def test_none_links_nothing() -> None:
    assert clusters(3, None) == [0, 1, 2]
    assert clusters(4, [None, None, "a", "a"]) == [0, 1, 2, 2]
