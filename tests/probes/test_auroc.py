import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from conceptscope.probes._auroc import fold_auroc


def test_one_fold_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 80)
    scores = np.round(rng.normal(size=(80, 1)) + codes[:, None], 1)
    assert fold_auroc(scores, codes, np.zeros(80, int))[0] == pytest.approx(roc_auc_score(codes, scores))
    many = rng.integers(0, 3, 80)
    columns = rng.normal(size=(80, 3)) + np.eye(3)[many]
    expected = roc_auc_score(many, np.exp(columns) / np.exp(columns).sum(1, keepdims=True), multi_class="ovr")
    soft = np.exp(columns) / np.exp(columns).sum(1, keepdims=True)
    assert fold_auroc(soft, many, np.zeros(80, int))[0] == pytest.approx(expected)


def test_folds_are_not_compared() -> None:
    rng = np.random.default_rng(0)
    codes, fold = np.arange(90) % 2, np.arange(90) % 3
    scores = rng.normal(size=(90, 1)) + codes[:, None]
    expected = np.mean([roc_auc_score(codes[fold == held], scores[fold == held]) for held in range(3)])
    auroc, influence = fold_auroc(scores + 100 * fold[:, None], codes, fold)
    assert auroc == pytest.approx(expected)
    assert influence.sum() == pytest.approx(0)


def test_influences_give_delongs_variance() -> None:
    rng = np.random.default_rng(0)
    codes = np.arange(100) % 2
    draws = [rng.normal(size=(100, 1)) + 0.8 * codes[:, None] for _ in range(800)]
    found = [fold_auroc(scores, codes, np.zeros(100, int)) for scores in draws]
    true = np.var([auroc for auroc, _ in found])
    assert np.mean([(influence**2).sum() for _, influence in found]) == pytest.approx(true, rel=0.15)


def test_a_fold_with_one_class_does_not_count() -> None:
    codes, fold = np.array([0, 1, 0, 1, 1, 1]), np.array([0, 0, 0, 0, 1, 1])
    scores = np.array([1.0, 2, 3, 4, -9, 9])[:, None]
    assert fold_auroc(scores, codes, fold)[0] == 0.75
    with pytest.raises(ValueError, match="no fold holds examples of two classes"):
        fold_auroc(scores, codes, codes)
