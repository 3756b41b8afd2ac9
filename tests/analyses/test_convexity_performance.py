"""Convexity beside performance: scipy's r, and a bootstrap written out."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from conceptscope.analyses import convexity_vs_performance


def values(seed: int = 0, models: int = 12, classes: int = 5) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Scores and recalls of the classes of some models; each model shifts all of its own."""
    rng = np.random.default_rng(seed)
    model = np.repeat(np.arange(models), classes)
    score = rng.normal(size=models)[model] + 0.3 * rng.normal(size=len(model))
    recall = 0.5 * score + rng.normal(size=models)[model] + 0.3 * rng.normal(size=len(model))
    return score, recall, model.tolist()


def test_r_is_scipys():
    score, recall, model = values()
    found = convexity_vs_performance(score, recall, clusters=model)
    assert found.r == pytest.approx(pearsonr(score, recall).statistic, abs=1e-12)
    assert found.n_clusters == 12
    assert found.low < found.r < found.high


def test_the_interval_is_that_of_drawn_models():
    score, recall, model = values()
    found = convexity_vs_performance(score, recall, clusters=model, resamples=4000)
    rng, own = np.random.default_rng(5), np.array(model)
    drawn = []
    for _ in range(4000):
        rows = np.concatenate([np.flatnonzero(own == m) for m in rng.integers(0, 12, 12)])
        drawn.append(pearsonr(score[rows], recall[rows]).statistic)
    np.testing.assert_allclose([found.low, found.high], np.quantile(drawn, [0.025, 0.975]), atol=0.04)


def test_clusters_widen_the_interval_where_models_differ():
    score, recall, model = values()
    alone, grouped = (convexity_vs_performance(score, recall, clusters=c) for c in (None, model))
    assert grouped.r == alone.r
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_a_line_has_r_one_and_a_class_alone_in_a_draw_is_left_out():
    found = convexity_vs_performance([1.0, 2.0, 3.0], [2.0, 4.0, 6.0], resamples=500)
    assert (found.r, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))
    assert convexity_vs_performance([1, 2, 3], [3, 2, 1]).r == pytest.approx(-1)


def test_what_a_user_sees():
    score, recall, model = values()
    found = convexity_vs_performance(score, recall, clusters=model)
    assert list(found.to_frame().columns) == ["score", "performance", "cluster"]
    assert f"r = {found.r:.2f}" in repr(found)
    assert "60 classes in 12 clusters" in repr(found)
    assert "<table" in found._repr_html_()
    assert f"{found.low:.2f}" in found.plot().get_title()
    assert found == convexity_vs_performance(score, recall, clusters=model)


@pytest.mark.parametrize(
    ("scores", "performance", "settings", "message"),
    [
        ([1, 2, 3], [1, 2], {}, "there are 3 scores, 2 values of performance: each class"),
        ([1, 2, 3], [1, 2, 4], {"clusters": [0]}, "2|3 scores, 3 values of performance and 1 clusters"),
        ([1, 1, 1], [1, 2, 3], {}, "scores are all the same"),
        ([1, 2, 3], [1, 2, float("nan")], {}, "performance must be finite numbers"),
        ([1, 2, 3], [1, 2, 4], {"clusters": ["a", "a", "b"]}, "3 clusters or more, and there are 2"),
        ([1, 2, 3], [1, 2, 4], {"resamples": 10}, "resamples must be a whole number, 100 or more; got 10"),
    ],
)
def test_what_cannot_be_done_is_refused(scores, performance, settings, message):
    with pytest.raises(ValueError, match=message):
        convexity_vs_performance(scores, performance, **settings)
