from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from conceptscope.hooks import Activations
from conceptscope.probes import Concept, Logistic, sweep
from conceptscope.probes._clustered import row_clusters
from conceptscope.probes._fits import Problems
from conceptscope.probes._folds import assign_folds
from conceptscope.probes._labelled import Labelled

Layers = Callable[..., Activations]
STRENGTHS = (1e-4, 1e-2, 1.0, 100.0)


def grid_search(acts: Activations, folds: int = 5) -> float:
    """The strength with the least held-out log-loss in scikit-learn's fits, over the same inner folds."""
    x = next(iter(acts.values())).double().numpy()
    classes = sorted(set(acts.labels))
    codes = np.array([classes.index(label) for label in acts.labels])
    fold = assign_folds(codes, row_clusters(acts), classes, folds, 0)
    loss = dict.fromkeys(STRENGTHS, 0.0)
    for C in STRENGTHS:
        for held in range(folds):
            train, test = fold != held, fold == held
            centre, unit = x[train].mean(0), np.sqrt(x[train].var(0).mean())
            model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
            model.fit((x[train] - centre) / unit, codes[train])
            chances = model.predict_proba((x[test] - centre) / unit)
            loss[C] += log_loss(codes[test], chances, normalize=False, labels=range(len(classes)))
    return min(loss, key=loss.__getitem__)


def chosen(concept: Concept) -> float:
    return float(concept.source["settings"]["C"])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("shift", "d", "group"), [(0.5, 5, 1), (2.0, 5, 1), (3.0, 30, 1), (8.0, 30, 1), (2.0, 20, 5)]
)
def test_equals_a_grid_search(layers: Layers, classes: int, shift: float, d: int, group: int) -> None:
    acts = layers([shift], 120, d=d, classes=classes, group=group)
    assert chosen(Logistic(C=STRENGTHS).fit(acts)) == grid_search(acts)


def test_the_grid_searches_differ(layers: Layers) -> None:
    found = {grid_search(layers([shift], 120, d=d)) for shift, d in ((0.0, 30), (3.0, 30), (8.0, 5))}
    assert len(found) == 3


def test_a_sweep_chooses_anew_within_each_training_fold(layers: Layers) -> None:
    acts = layers([1.5, 6.0], 100, d=20)
    extractor = Logistic(C=STRENGTHS)
    probe = sweep(acts, extractor, controls=False)
    fold = probe.held_out.fold
    for site in acts:
        right = []
        for held in range(5):
            concept = extractor.fit(acts[fold != held], site)
            rows = acts[fold == held]
            right += [a == b for a, b in zip(concept.predict(rows), rows.labels, strict=True)]
        (score,) = (one for one in probe.scores if one.site == site)
        assert score.accuracy == pytest.approx(np.mean(right))
        assert chosen(probe.concepts[site]) == chosen(extractor.fit(acts, site))


def test_never_looks_at_held_out_rows(layers: Layers) -> None:
    """Held-out labels that say the opposite would ask for another strength, if they were seen."""
    clean = layers([8.0], 100, d=20)
    data = Labelled.of(clean, None)
    train = torch.arange(100) < 50
    turned = torch.where(train, data.codes, 1 - data.codes)

    def choice(rows: torch.Tensor, codes: torch.Tensor) -> float:
        return chosen(Logistic(C=STRENGTHS).fit_many(data, Problems(rows[None], codes[None])).concept(0))

    kept = choice(train, data.codes)
    assert choice(train, turned) == kept
    assert kept != choice(torch.ones(100, dtype=torch.bool), turned)
    for row in range(50, 100, 10):
        codes = data.codes.clone()
        codes[row] = 1 - codes[row]
        assert choice(train, codes) == kept


def test_says_what_was_chosen(layers: Layers) -> None:
    acts = layers([2.0])
    settings: dict[str, Any] = Logistic(C=[0.1, 1.0]).fit(acts).source["settings"]
    assert settings["C"] in (0.1, 1.0)
    assert settings["C_among"] == (0.1, 1.0)
    one = Logistic(C=[0.5]).fit(acts)
    assert chosen(one) == 0.5
    torch.testing.assert_close(one.reading, Logistic(C=0.5).fit(acts).reading)


def test_refuses(layers: Layers) -> None:
    acts = layers([2.0], 12)
    rare = acts.with_labels(["a"] * 11 + ["b"])
    with pytest.raises(ValueError, match="class 'b' has 1 example for 2 folds: add examples of it"):
        Logistic(C=[0.1, 1.0]).fit(rare)
    for strengths in ([], [1.0, 0.0], [1.0, -1.0], [float("nan")]):
        with pytest.raises(ValueError, match="C and max_iter must be positive"):
            Logistic(C=strengths)
