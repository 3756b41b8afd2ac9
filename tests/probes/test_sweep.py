from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestCentroid

from conceptscope.hooks import Activations, Site
from conceptscope.probes import (
    Concept,
    Logistic,
    MeanDifference,
    Ridge,
    SteeringMatrix,
    ValueSweep,
    sweep,
)

matplotlib.use("Agg")


def noise(sites: int, labels: list[Any], d: int = 10, shift: float = 0.0, **parts: Any) -> Activations:
    rng = torch.Generator().manual_seed(0)
    codes = torch.tensor([sorted(set(labels)).index(label) for label in labels])
    group = torch.as_tensor(parts.get("groups", [0] * len(labels)))
    tensors = {}
    for layer in range(sites):
        x = torch.randn(len(labels), d, generator=rng) + shift * codes[:, None]
        tensors[f"resid_post.{layer}"] = x + torch.randn(int(group.max()) + 1, d, generator=rng)[group]
    return Activations(tensors, labels, **parts)


def rising(n: int = 80, classes: int = 2, **parts: Any) -> Activations:
    """Classes that lie apart by 0, 1, 2, 3 standard deviations at layers 0 to 3."""
    rng = torch.Generator().manual_seed(0)
    codes = torch.arange(n) % classes
    tensors = {}
    for layer in (2, 0, 3, 1):
        x = torch.randn(n, 6, generator=rng)
        x[torch.arange(n), codes] += 1.5 * layer
        tensors[f"resid_post.{layer}"] = x
    return Activations(tensors, ["abcdef"[code] for code in codes], **parts)


def test_table() -> None:
    found = sweep(rising(), MeanDifference())
    frame = found.to_frame()
    columns = ["site", "accuracy", "accuracy_low", "accuracy_high", "auroc", "auroc_low", "auroc_high"]
    assert list(frame.columns) == [*columns, "shuffled", "random_direction", "selectivity"]
    assert frame.site.tolist() == [f"resid_post.{layer}" for layer in range(4)]
    for share in ("accuracy", "auroc"):
        assert (frame[f"{share}_low"] <= frame[share]).all()
        assert (frame[share] <= frame[f"{share}_high"]).all()
        assert frame[share].is_monotonic_increasing
    np.testing.assert_allclose(frame.selectivity, frame.accuracy - frame.shuffled)
    assert (abs(frame.shuffled - 0.5) < 0.12).all()
    assert frame.random_direction[3] > 0.5
    assert not frame.isna().any(axis=None)
    assert found.n_examples == found.n_groups == 80


@pytest.mark.parametrize("classes", [2, 3])
def test_equals_scikit_learn_on_the_same_folds(classes: int) -> None:
    from conceptscope.hooks._random import numpy_generator
    from conceptscope.probes._folds import assign_folds

    acts = rising(90, classes)
    codes = np.arange(90) % classes
    seed = int(numpy_generator(7).integers(2**31))
    fold = assign_folds(codes, np.arange(90), "abc"[:classes], 4, seed)
    found = sweep(acts, Logistic(C=0.1), folds=4, controls=False, generator=7).to_frame()
    for site, accuracy, auroc in zip(found.site, found.accuracy, found.auroc, strict=True):
        x, right, areas = acts[site].double().numpy(), [], []
        for held in range(4):
            train, test = fold != held, fold == held
            from sklearn.linear_model import LogisticRegression

            unit = np.sqrt(x[train].var(0).mean())
            oracle = LogisticRegression(C=0.1 / unit**2, tol=1e-10, max_iter=10_000).fit(
                x[train], codes[train]
            )
            right += (oracle.predict(x[test]) == codes[test]).tolist()
            scores = oracle.decision_function(x[test]).reshape(test.sum(), -1)
            columns = [1] if classes == 2 else range(classes)
            areas.append(
                np.mean(
                    [roc_auc_score(codes[test] == code, scores[:, at]) for at, code in enumerate(columns)]
                )
            )
        assert accuracy == pytest.approx(np.mean(right), abs=0.012)
        assert auroc == pytest.approx(np.mean(areas), abs=0.01)


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (["a", "b"] * 30, {}),
        (["a", "b"] * 30, {"pairs": [row // 2 for row in range(60)]}),
        ([["a", "b"][row // 4 % 2] for row in range(80)], {"groups": [row // 4 for row in range(80)]}),
        (["a"] * 20 + ["b"] * 40, {}),
    ],
    ids=["plain", "pairs", "groups", "uneven"],
)
def test_finds_nothing_in_noise(labels: list[str], parts: dict[str, Any]) -> None:
    frame = sweep(noise(100, labels, **parts), MeanDifference(), controls=False).to_frame()
    assert frame.auroc.mean() == pytest.approx(0.5, abs=0.03)
    assert ((frame.auroc_low <= 0.5) & (frame.auroc_high >= 0.5)).mean() >= 0.94
    if labels.count("a") == labels.count("b"):
        assert frame.accuracy.mean() == pytest.approx(0.5, abs=0.03)
        assert ((frame.accuracy_low <= 0.5) & (frame.accuracy_high >= 0.5)).mean() >= 0.94


@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_cover_what_is_there(grouped: bool) -> None:
    labels = [["a", "b"][row // 4 % 2] for row in range(80)]
    parts = {"groups": [row // 4 for row in range(80)]} if grouped else {}
    acts = noise(100, labels, d=5, shift=0.7, **parts)
    frame = sweep(acts, MeanDifference(), controls=False).to_frame()
    for share in ("accuracy", "auroc"):
        expected = frame[share].mean()
        assert 0.6 < expected < 0.95
        covered = (frame[f"{share}_low"] <= expected) & (expected <= frame[f"{share}_high"])
        assert covered.mean() >= 0.94


def test_selectivity_of_what_groups_give_away() -> None:
    labels = [["a", "b"][row // 10 % 2] for row in range(200)]
    acts = noise(3, labels, d=40, groups=[row // 10 for row in range(200)])
    assert (sweep(acts, MeanDifference()).to_frame().accuracy < 0.7).all()
    leaky = Activations(acts, labels)
    assert (sweep(leaky, Logistic(), controls=False).to_frame().accuracy > 0.75).all()


def test_best_is_refitted_on_everything() -> None:
    acts = rising(source={"model_name": "m", "position": "last"})
    found = sweep(acts, MeanDifference())
    again = MeanDifference().fit(acts, "resid_post.3")
    torch.testing.assert_close(found.best.reading, again.reading, rtol=0, atol=0)
    assert (found.best.site, found.best.model_name, found.best.position) == (
        Site("resid_post", 3),
        "m",
        "last",
    )
    assert found.best.reading.dtype == torch.float32
    assert set(found.concepts) == set(acts)
    easy = Activations({f"resid_post.{layer}": acts["resid_post.3"] for layer in (2, 1)}, acts.labels)
    assert sweep(easy, MeanDifference(), controls=False).best.site == Site("resid_post", 1)


def test_many_classes() -> None:
    frame = sweep(rising(120, 4), MeanDifference()).to_frame()
    assert frame.accuracy[0] == pytest.approx(0.25, abs=0.15)
    assert frame.auroc[0] == pytest.approx(0.5, abs=0.15)
    assert frame.accuracy[3] > 0.9
    assert (abs(frame.shuffled - 0.25) < 0.1).all()


def test_repeats_and_records_the_generator() -> None:
    acts = rising()
    frame = sweep(acts, MeanDifference()).to_frame()
    assert sweep(acts, MeanDifference(), generator=0).to_frame().equals(frame)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    found = sweep(acts, MeanDifference(), generator=generator)
    assert found.to_frame().equals(frame)
    assert torch.equal(found.generator_state, state)
    assert not torch.equal(generator.get_state(), state)
    assert not sweep(acts, MeanDifference(), generator=1).to_frame().equals(frame)
    before = (torch.get_rng_state(), np.random.get_state()[1].copy())
    sweep(acts, MeanDifference())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_without_controls() -> None:
    frame = sweep(rising(), MeanDifference(), controls=False).to_frame()
    assert frame[["shuffled", "random_direction", "selectivity"]].isna().all(axis=None)


def test_tokens_of_one_text_are_held_out_together() -> None:
    acts = rising(example=[row // 4 for row in range(80)], position=[row % 4 for row in range(80)])
    assert sweep(acts, MeanDifference(), controls=False).n_groups == 20


def test_an_extractor_of_ones_own() -> None:
    @dataclass(frozen=True)
    class FirstFeature:
        def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
            x = activations.at(site)
            direction = torch.zeros(1, x.shape[1])
            direction[0, 1] = 1
            return Concept(direction, offset=[1.5], classes=("a", "b"), site=Site.parse(site))

    found = sweep(rising(), FirstFeature()).to_frame()
    assert found.accuracy[3] > 0.9

    @dataclass(frozen=True)
    class Nameless(FirstFeature):
        def fit(self, activations: Activations, site: Site | str | None = None) -> Concept:
            return Concept(torch.ones(1, 6), site=Site.parse(site))

    with pytest.raises(ValueError, match=r"has the classes \(\), the data \('a', 'b'\)"):
        sweep(rising(), Nameless())


def test_leaves_the_activations_alone() -> None:
    acts = rising()
    before = {site: acts[site].clone() for site in acts}
    sweep(acts, Logistic())
    for site in acts:
        assert torch.equal(acts[site], before[site])
        assert acts[site].dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": None}, ValueError, "have no labels: give Examples"),
        ({"labels": ["a"] * 80}, ValueError, "all labels are 'a'"),
        ({"labels": ["a"] * 77 + ["b"] * 3}, ValueError, "class 'b' has 3 examples for 5 folds: use folds=3"),
        ({"labels": list(range(80))}, ValueError, "80 classes look like numbers"),
        ({"groups": ["g"] * 80}, ValueError, "all examples belong to one group"),
    ],
)
def test_refuses(change: dict[str, Any], error: type[Exception], message: str) -> None:
    acts = rising()
    parts = {"labels": acts.labels} | change
    with pytest.raises(error, match=message):
        sweep(Activations(acts, **parts), MeanDifference())


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "1 of 80 rows at resid_post.1 are NaN"), (float("inf"), "row 7")]
)
def test_refuses_values_that_are_not_finite(value: float, message: str) -> None:
    acts = rising()
    acts["resid_post.1"][7, 2] = value
    with pytest.raises(ValueError, match=message):
        sweep(acts, MeanDifference())


def test_labels_that_are_numbers_are_predicted() -> None:
    acts = rising().with_labels([float(row % 2) + row / 80 for row in range(80)])
    found = sweep(acts, Ridge(), controls=False)
    assert isinstance(found, ValueSweep)
    assert found.best.site == Site("resid_post", 3)
    with pytest.raises(
        ValueError, match=r"Ridge\(alpha=1.0\) predicts numbers: leave permutations and types"
    ):
        sweep(acts, Ridge(), permutations=10)


def test_refuses_what_holds_no_activations() -> None:
    for given in (["a text"], {"resid_post.0": torch.ones(2, 2)}):
        for verb in (sweep, lambda acts, extractor: extractor.fit(acts)):
            with pytest.raises(TypeError, match=f"as capture gives them, got {type(given).__name__}: write"):
                verb(given, MeanDifference())


def test_refuses_an_extractor_that_makes_no_concept() -> None:
    acts = rising(pairs=[row // 2 for row in range(80)])
    with pytest.raises(TypeError, match="makes a ConceptMap, and a sweep needs a Concept: fit it by itself"):
        sweep(acts, SteeringMatrix())  # type: ignore[arg-type]


def test_refuses_constant_activations_and_other_things() -> None:
    acts = rising()
    with pytest.raises(ValueError, match=r"embed are the same for every example: leave that site out"):
        sweep(Activations({**acts, "embed": torch.ones(80, 3)}, acts.labels), MeanDifference())
    for other in (MeanDifference, "mean difference", NearestCentroid()):
        with pytest.raises(TypeError, match=r"expected an extractor such as MeanDifference\(\)"):
            sweep(acts, other)  # type: ignore[arg-type]


def test_plots_by_layer() -> None:
    found = sweep(rising(), MeanDifference())
    ax = found.plot()
    assert ax.get_xlabel() == "layer (resid_post)"
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert lines["accuracy, held out"].get_xdata().tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(lines["accuracy, held out"].get_ydata(), found.to_frame().accuracy)
    assert {lines[name].get_linestyle() for name in ("shuffled labels", "random direction")} == {"--"}
    assert found.plot(ax) is ax


def test_plots_several_kinds_by_site() -> None:
    x = rising()["resid_post.1"]
    acts = Activations({"embed": x, "z.0": x[:, :4].reshape(80, 2, 2)}, ["a", "b"] * 40)
    ax = sweep(acts, MeanDifference(), controls=False).plot()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["embed", "z.0"]


def test_shows_itself_briefly() -> None:
    found = sweep(rising(pairs=[row // 2 for row in range(80)]), MeanDifference(), controls=False)
    assert repr(found).startswith("ProbeSweep(4 sites, 80 examples, 5 folds, best resid_post.3: accuracy ")
    html = found._repr_html_()
    assert "MeanDifference(): 80 examples in 40 groups, 5 folds, 95 % intervals" in html
    assert html.count("<tr") == 5
