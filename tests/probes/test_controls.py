import numpy as np
import pytest

from conceptscope.probes._controls import shuffled_codes


def test_clusters_of_one_class_exchange_classes() -> None:
    cluster = np.repeat(np.arange(20), 3)
    codes = (cluster % 2).astype(np.int64)
    shuffled = shuffled_codes(codes, cluster, cluster % 4, np.random.default_rng(0))
    assert all(len(set(shuffled[cluster == one])) == 1 for one in range(20))
    assert shuffled.sum() == codes.sum()
    assert (shuffled != codes).any()


def test_pairs_are_turned() -> None:
    cluster, codes = np.repeat(np.arange(50), 2), np.tile([0, 1], 50)
    order = np.random.default_rng(1).permutation(100)
    shuffled = shuffled_codes(codes[order], cluster[order], cluster[order] % 5, np.random.default_rng(0))
    assert all(shuffled[cluster[order] == pair].sum() == 1 for pair in range(50))
    assert 25 < (shuffled != codes[order]).sum() < 75


def test_all_rows_are_permuted_otherwise() -> None:
    cluster, codes = np.array([0, 0, 0, 0, 1, 1, 2, 3] * 4), np.array([0, 1, 0, 0, 1, 1, 0, 1] * 4)
    shuffled = shuffled_codes(codes, cluster, np.arange(32) % 2, np.random.default_rng(0))
    assert sorted(shuffled) == sorted(codes)
    assert set(shuffled[cluster == 1]) == {0, 1}


def test_refuses_what_cannot_be_shuffled() -> None:
    cluster = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="cannot be shuffled between so few groups"):
        shuffled_codes(np.array([0, 0, 1, 1]), cluster, cluster, np.random.default_rng(0))
