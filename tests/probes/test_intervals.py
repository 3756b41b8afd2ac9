import numpy as np
import pytest
from conceptscope.probes._intervals import cross_validated_interval
from scipy.stats import binomtest


def interval(right: np.ndarray, cluster: np.ndarray, folds: int = 5) -> tuple[float, float]:
    share = float(right.mean())
    influence = (right - share) / len(right)
    return cross_validated_interval(share, influence, cluster, folds=folds, fewest=len(np.unique(cluster)))


def test_is_wilsons_for_fewer_rows() -> None:
    right = np.arange(2000) % 10 < 7
    fewer = round(2000 / (1 + 5 / 4))
    oracle = binomtest(round(0.7 * fewer), fewer).proportion_ci(method="wilson")
    assert interval(right, np.arange(2000)) == pytest.approx((oracle.low, oracle.high), abs=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_holds_the_share_and_stays_between_0_and_1(share: float) -> None:
    right = np.arange(100) < 100 * share
    low, high = interval(right, np.arange(100))
    assert 0 <= low <= share <= high <= 1
    assert high - low > 0.02


def test_copies_of_a_row_are_one_row() -> None:
    right = np.random.default_rng(0).random(60) < 0.7
    once = interval(right, np.arange(60))
    copied = interval(np.repeat(right, 8), np.repeat(np.arange(60), 8))
    assert copied == pytest.approx(once, abs=0.01)
    low, high = interval(np.repeat(right, 8), np.arange(480))
    assert high - low < 0.5 * (once[1] - once[0])


def test_covers_where_groups_differ() -> None:
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(15), 10)
    held = []
    for _ in range(400):
        ease = rng.beta(2, 1, 15)
        low, high = interval(rng.random(150) < ease[cluster], cluster)
        held.append(low <= 2 / 3 <= high)
    assert np.mean(held) > 0.95
