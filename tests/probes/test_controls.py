import numpy as np
import pytest
import torch

from conceptscope.probes._controls import random_direction_accuracy, shuffled_codes


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


def accuracy(x: torch.Tensor, codes: torch.Tensor, draws: int = 200) -> float:
    fold = torch.arange(len(x)) // 2 % 5
    return random_direction_accuracy(x.double(), codes, fold, np.random.default_rng(0), draws=draws)


@pytest.mark.parametrize("classes", [2, 4])
def test_random_directions_find_nothing_in_noise(classes: int) -> None:
    rng = torch.Generator().manual_seed(0)
    found = accuracy(torch.randn(400, 20, generator=rng), torch.arange(400) % classes)
    assert found == pytest.approx(1 / classes, abs=0.03)


def test_random_directions_have_the_covariance_of_the_activations() -> None:
    rng = torch.Generator().manual_seed(0)
    codes = torch.arange(400) % 2
    x = torch.randn(400, 50, generator=rng)
    x[:, 0] += 20 * codes
    along_first = x[:, :1]
    isotropic = torch.randn(50, 200, generator=rng)
    thresholds = [(x @ w)[:, None] for w in isotropic.T]
    weak = np.mean([accuracy(scores, codes, draws=1) for scores in thresholds])
    assert accuracy(along_first, codes) == 1
    assert accuracy(x, codes) > weak + 0.05
