import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from conceptscope.hooks import Activations, Where
from conceptscope.probes import Extractor, MeanDifference

NOWHERE = Where(torch.zeros(0), torch.zeros(0), torch.zeros(0))


def data(classes: int, n: int = 300, d: int = 10) -> Activations:
    rng = torch.Generator().manual_seed(classes)
    mix = torch.randn(d, d, generator=rng, dtype=torch.float64)
    codes = torch.randint(classes, (n,), generator=rng)
    x = (
        torch.randn(n, d, generator=rng, dtype=torch.float64) @ mix
        + 3 * torch.randn(classes, d, generator=rng)[codes]
    )
    return Activations({"resid_post.0": x}, [f"class {code}" for code in codes.tolist()])


def test_predicts_like_the_nearest_centroid() -> None:
    acts = data(2)
    concept, x = MeanDifference().fit(acts), acts["resid_post.0"]
    oracle = NearestCentroid().fit(x.numpy(), acts.labels)
    assert concept.predict(x) == oracle.predict(x.numpy()).tolist()
    difference = oracle.centroids_[1] - oracle.centroids_[0]
    np.testing.assert_allclose(concept.reading[0], difference)
    np.testing.assert_allclose(concept.steering[0], difference)
    assert (concept.site, concept.classes) == (acts.sites[0], ("class 0", "class 1"))
    assert concept.source["class_counts"] == [acts.labels.count("class 0"), acts.labels.count("class 1")]


def test_each_of_many_classes_against_the_mean_of_the_others() -> None:
    acts = data(4)
    concept, x = MeanDifference().fit(acts), acts["resid_post.0"].numpy()
    means = NearestCentroid().fit(x, acts.labels).centroids_
    for row in range(4):
        others = np.delete(means, row, 0).mean(0)
        np.testing.assert_allclose(concept.reading[row], means[row] - others)
        assert concept.read((means[row] + others) / 2)[row].abs() < 1e-9
        assert concept[f"class {row}"].read(means[row]) > 0


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_after_erasure_no_refitted_probe_beats_chance(classes: int) -> None:
    acts = data(classes)
    concept, x = MeanDifference().fit(acts), acts["resid_post.0"]
    before = LogisticRegression(C=1e4, max_iter=10_000).fit(x, acts.labels).score(x, acts.labels)
    erased = concept.erase().edit(x.clone(), NOWHERE)
    after = LogisticRegression(C=1e4, max_iter=10_000, tol=1e-8).fit(erased, acts.labels)
    majority = max(np.unique(acts.labels, return_counts=True)[1]) / len(x)
    assert before > majority + 0.2
    assert after.score(erased, acts.labels) == pytest.approx(majority, abs=0.01)
    means = NearestCentroid().fit(erased, acts.labels).centroids_
    np.testing.assert_allclose(means, np.broadcast_to(means[0], means.shape), atol=1e-8)


def test_the_site_may_be_left_out_when_there_is_one() -> None:
    acts = data(2)
    both = Activations({"resid_post.0": acts["resid_post.0"], "z.1": torch.randn(300, 2, 3)}, acts.labels)
    torch.testing.assert_close(
        MeanDifference().fit(both, "resid_post.0").reading, MeanDifference().fit(acts).reading
    )
    assert MeanDifference().fit(both, "z.1").d == 6
    assert MeanDifference().fit(both, "z.1.0").d == 3
    with pytest.raises(ValueError, match=r"say which site: captured were resid_post.0, z.1"):
        MeanDifference().fit(both)
    with pytest.raises(KeyError, match=r"'resid_post.5' was not captured"):
        MeanDifference().fit(both, "resid_post.5")


def test_is_an_extractor_that_compares_by_its_settings() -> None:
    assert isinstance(MeanDifference(), Extractor)
    assert MeanDifference() == MeanDifference()


def test_other_kinds_of_labels() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 0.5], [4.0, 1.0], [5.0, 0.0]])
    for labels in ([0, 0, 1, 1], [False, False, True, True], [10, 10, 9, 9]):
        concept = MeanDifference().fit(Activations({"embed": x}, labels))
        assert concept.classes == tuple(sorted(set(labels)))
        assert concept.predict(x) == labels
    assert MeanDifference().fit(Activations({"embed": x}, np.array([0, 0, 1, 1]))).predict(x) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("x", "labels", "error", "message"),
    [
        (torch.randn(4, 2), None, ValueError, "have no labels: give Examples"),
        (torch.randn(4, 2), ["a"] * 4, ValueError, "all labels are 'a': a concept needs"),
        (torch.randn(4, 2), ["a", 1, "a", 1], TypeError, "labels cannot be sorted"),
        (torch.ones(4, 2), ["a", "b"] * 2, ValueError, "embed are the same for every example"),
        (
            torch.tensor([[1.0], [2.0], [2.0], [1.0]]),
            ["a", "b", "a", "b"],
            ValueError,
            "finds no direction at embed",
        ),
        (
            torch.tensor([[1.0], [float("nan")], [2.0], [1.0]]),
            ["a", "b"] * 2,
            ValueError,
            "1 of 4 rows .* row 1",
        ),
        (
            torch.tensor([[float("inf")], [1.0], [float("-inf")], [1.0]]),
            ["a", "b"] * 2,
            ValueError,
            "2 of 4 rows",
        ),
    ],
)
def test_refuses(x: torch.Tensor, labels: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        MeanDifference().fit(Activations({"embed": x}, labels))
