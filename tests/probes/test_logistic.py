import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from conceptscope.hooks import Activations
from conceptscope.probes import Extractor, Logistic, MeanDifference


def data(classes: int, n: int = 240, d: int = 12) -> Activations:
    rng = torch.Generator().manual_seed(classes)
    codes = torch.randint(classes, (n,), generator=rng)
    mix = torch.randn(d, d, generator=rng, dtype=torch.float64)
    x = 7 + (torch.randn(n, d, generator=rng) + torch.randn(classes, d, generator=rng)[codes]).double() @ mix
    return Activations({"resid_post.0": x}, [f"class {code}" for code in codes.tolist()])


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("c", [0.01, 1.0])
def test_equals_scikit_learn(classes: int, c: float) -> None:
    acts = data(classes)
    concept, x = Logistic(C=c).fit(acts), acts["resid_post.0"].numpy()
    unit = np.sqrt(x.var(0).mean())
    oracle = LogisticRegression(C=c / unit**2, tol=1e-10, max_iter=100_000).fit(x, acts.labels)
    np.testing.assert_allclose(concept.reading, oracle.coef_, atol=2e-3 * np.abs(oracle.coef_).max())
    np.testing.assert_allclose(concept.predict_proba(x), oracle.predict_proba(x), atol=2e-3)
    logits = concept.valuation(x) - concept.offset
    np.testing.assert_allclose(
        logits.squeeze(-1), oracle.decision_function(x), atol=1e-2 * logits.abs().max()
    )
    assert np.mean(np.array(concept.predict(x)) == oracle.predict(x)) > 0.99
    torch.testing.assert_close(concept.predict_proba(x).sum(-1), torch.ones(len(x), dtype=torch.float64))


def test_a_rotation_and_a_unit_change_nothing() -> None:
    acts = data(2)
    x = acts["resid_post.0"]
    turn = torch.linalg.qr(
        torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )[0]
    other = Activations({"resid_post.0": 100 * x @ turn}, acts.labels)
    ours, theirs = Logistic().fit(acts), Logistic().fit(other)
    torch.testing.assert_close(theirs.read(100 * x @ turn), ours.read(x), atol=1e-2, rtol=1e-2)


def test_steers_along_the_class_means() -> None:
    acts = data(3)
    torch.testing.assert_close(Logistic().fit(acts).steering, MeanDifference().fit(acts).steering)
    two = data(2)
    torch.testing.assert_close(Logistic().fit(two).steering, MeanDifference().fit(two).steering)
    assert abs(Logistic().fit(two).cosine(MeanDifference().fit(two))) < 0.9


def test_settings() -> None:
    assert isinstance(Logistic(), Extractor)
    assert Logistic(C=2) == Logistic(2)
    assert Logistic().fit(data(2)).source["settings"] == {"C": 1.0, "max_iter": 1000}
    for settings in ({"C": 0}, {"C": float("nan")}, {"max_iter": 0}):
        with pytest.raises(ValueError, match="must be positive"):
            Logistic(**settings)


def test_refuses() -> None:
    with pytest.raises(ValueError, match=r"did not converge in 2 steps: raise max_iter or lower C"):
        Logistic(C=1e6, max_iter=2).fit(data(2))
    with pytest.raises(ValueError, match="have no labels"):
        Logistic().fit(Activations({"embed": torch.randn(3, 2)}))
