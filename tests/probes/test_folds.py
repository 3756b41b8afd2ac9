from typing import Any

import numpy as np
import pytest

from conceptscope.probes._folds import assign_folds


def test_spreads_classes_evenly_and_repeats() -> None:
    codes = np.arange(60) % 3
    fold = assign_folds(codes, np.arange(60), "abc", 5, seed=0)
    counts = np.array([[np.sum((fold == held) & (codes == code)) for code in range(3)] for held in range(5)])
    assert (counts == 4).all()
    assert (assign_folds(codes, np.arange(60), "abc", 5, seed=0) == fold).all()
    assert (assign_folds(codes, np.arange(60), "abc", 5, seed=1) != fold).any()


@pytest.mark.parametrize("seed", range(10))
def test_splits_no_cluster(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, 30, 200)
    codes = rng.integers(0, 2, 200)
    fold = assign_folds(codes, cluster, "ab", 4, seed)
    assert all(len(set(fold[cluster == one])) == 1 for one in set(cluster))
    assert set(fold) == set(range(4))


def test_pairs_stay_together_and_balanced() -> None:
    pairs = np.arange(40) // 2
    fold = assign_folds(np.arange(40) % 2, pairs, "ab", 5, seed=0)
    assert (fold[::2] == fold[1::2]).all()
    assert (np.bincount(fold) == 8).all()


@pytest.mark.parametrize(
    ("codes", "cluster", "folds", "message"),
    [
        ([0, 1] * 5, [0] * 10, 2, "all examples belong to one group"),
        ([0, 1] * 5, range(10), 1, "at least two folds are needed"),
        ([0, 1] * 5, range(10), -1, "got folds=-1"),
        ([0, 1] * 5, range(10), 2.5, "got folds=2.5"),
        ([0, 1] * 5, range(10), None, "got folds=None"),
        ([0] * 17 + [1] * 3, range(20), 5, "class 'b' has 3 examples for 5 folds: use folds=3 or fewer"),
        ([0] * 19 + [1], range(20), 5, "class 'b' has 1 example for 5 folds: add examples of it"),
        ([0, 1] * 10, [0, 1, 2, 3] * 5, 5, "class 'a' has 2 groups or pairs for 5 folds: use folds=2"),
        ([0, 0, 0, 1] * 5, [0, 1, 2, 3] * 5, 2, "class 'b' has 1 group or pair"),
    ],
)
def test_refuses(codes: list[int], cluster: list[int], folds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        assign_folds(np.array(codes), np.array(cluster), "ab", folds, seed=0)


def test_few_examples_of_words_are_no_numbers() -> None:
    with pytest.raises(ValueError, match=r"class 'b' has 1 example for 5 folds: add examples"):
        assign_folds(np.array([0, 0, 1]), np.arange(3), "ab", 5, seed=0)


def test_refuses_numbers_as_classes() -> None:
    with pytest.raises(ValueError, match="20 classes look like numbers"):
        assign_folds(np.arange(20), np.arange(20), range(20), 5, seed=0)
