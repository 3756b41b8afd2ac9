"""What a concept's interventions do to readings, and that they do it in a model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from conceptscope.hooks import Activations, Examples, Where, capture, intervene
from conceptscope.probes import Concept, Leace, Logistic, MeanDifference, Ridge, project

SITE = "resid_post.1"
NOWHERE = Where(*(torch.zeros(0, dtype=torch.long) for _ in range(3)))


def gaussian(classes: int = 2, n: int = 400, d: int = 12, condition: float = 100) -> Activations:
    rng = torch.Generator().manual_seed(0)
    codes = torch.arange(n) % classes
    mix = torch.linalg.qr(torch.randn(d, d, generator=rng, dtype=torch.float64))[0]
    spread = mix * torch.logspace(0, torch.tensor(condition).log10().item() / 2, d, dtype=torch.float64)
    x = torch.randn(n, d, generator=rng, dtype=torch.float64) @ spread.T + 3
    means = 3 * torch.randn(classes, d, generator=rng, dtype=torch.float64)
    return Activations({SITE: x + means[codes]}, ["abcd"[code] for code in codes])


def edited(intervention: Any, x: torch.Tensor) -> torch.Tensor:
    return intervention.edit(x.clone(), NOWHERE)


def covariance(x: torch.Tensor) -> torch.Tensor:
    return torch.cov(x.T, correction=0)


@pytest.mark.parametrize("extractor", [MeanDifference(), Logistic(), Leace()])
def test_set_in_a_metric_is_a_projection(extractor: Any) -> None:
    acts = gaussian()
    concept, x = extractor.fit(acts), acts[SITE]
    S = covariance(x)
    goal = concept.scale * 1.5 + concept.offset
    for metric, cov in ((S, S), ("orthogonal", None), (2 * S, S)):
        got = edited(concept.set(1.5, metric=metric), x)
        torch.testing.assert_close(concept.read(got), torch.full_like(concept.read(x), 1.5))
        torch.testing.assert_close(got, project(x, concept.reading, goal, cov))
    plain = edited(concept.set(1.5), x) - x
    along = torch.nn.functional.normalize(concept.steering[0], dim=0)
    torch.testing.assert_close(plain, (plain @ along)[:, None] * along)


def test_no_other_activation_that_reads_so_is_as_near() -> None:
    """In Mahalanobis distance, over random points of the same hyperplane."""
    acts = gaussian()
    concept, x = MeanDifference().fit(acts), acts[SITE]
    S = covariance(x)
    got = edited(concept.set(-1.0, metric=S), x)
    rng = torch.Generator().manual_seed(1)
    away = torch.randn(x.shape, generator=rng, dtype=torch.float64)
    away -= (away @ concept.reading.T) @ torch.linalg.pinv(concept.reading).T
    inverse = torch.linalg.inv(S)

    def length(v: torch.Tensor) -> torch.Tensor:
        return ((v @ inverse) * v).sum(1)

    for step in (1.0, 0.01, -0.01):
        other = got + step * away
        torch.testing.assert_close(concept.read(other), concept.read(got))
        assert (length(other - x) > length(got - x)).all()


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("d", [12, 500])
def test_erasing_in_the_covariance_is_leace(classes: int, d: int) -> None:
    """Of any concept that steers along differences of class means, with more dimensions than rows too."""
    acts = gaussian(classes, d=d)
    x = acts[SITE]
    expected = edited(Leace(shrinkage=0).fit(acts).erase(), x)
    for extractor in (MeanDifference(), Logistic()):
        got = edited(extractor.fit(acts).erase(metric=covariance(x)), x)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_erasing_leaves_equal_class_means_unless_it_is_orthogonal(classes: int) -> None:
    acts = gaussian(classes)
    concept, x = Logistic().fit(acts), acts[SITE]
    codes = torch.tensor(["abcd".index(label) for label in acts.labels])

    def apart(rows: torch.Tensor) -> float:
        means = torch.stack([rows[codes == code].mean(0) for code in range(classes)])
        return (means - means.mean(0)).norm().item()

    shrunk = covariance(x) + torch.eye(12)
    for metric in (None, covariance(x), shrunk):
        assert apart(edited(concept.erase(metric=metric), x)) < 1e-6 * apart(x)
    orthogonal = edited(concept.erase(metric="orthogonal"), x)
    assert apart(orthogonal) > 0.1 * apart(x)
    torch.testing.assert_close(
        concept.read(orthogonal), concept.read(x).mean(0).expand(len(x), -1), atol=1e-6, rtol=0
    )
    moved = [(edited(concept.erase(metric=m), x) - x).norm() for m in ("orthogonal", covariance(x), None)]
    assert moved[0] < moved[1] < moved[2]


def test_erasing_twice_is_erasing_once() -> None:
    acts = gaussian(3)
    concept, x = MeanDifference().fit(acts), acts[SITE]
    for metric in (None, "orthogonal", covariance(x)):
        erase = concept.erase(metric=metric)
        torch.testing.assert_close(edited(erase, edited(erase, x)), edited(erase, x))


@pytest.mark.parametrize("extractor", [MeanDifference(), Logistic()])
def test_reflected_rows_are_taken_for_the_other_class(extractor: Any) -> None:
    acts = gaussian()
    concept, x = extractor.fit(acts), acts[SITE]
    reflect = concept.reflect()
    got = edited(reflect, x)
    torch.testing.assert_close(concept.read(got), -concept.read(x))
    torch.testing.assert_close(edited(reflect, got), x)
    assert concept.predict(got) == (-concept).predict(got)
    assert all(a != b for a, b in zip(concept.predict(got), concept.predict(x), strict=True))


def test_without_classes_the_mirror_is_the_mean() -> None:
    acts = gaussian()
    values = (acts[SITE] @ torch.randn(12, generator=torch.Generator().manual_seed(2)).double()).tolist()
    concept, x = Ridge().fit(acts.with_labels(values)), acts[SITE]
    torch.testing.assert_close(edited(concept.reflect(), x).mean(0), x.mean(0))


def test_what_turns_keeps_its_length_and_comes_nearer_by_the_angle() -> None:
    acts = gaussian()
    concept, x = Logistic().fit(acts), acts[SITE]
    along = torch.nn.functional.normalize(concept.steering[0], dim=0)

    def angle(rows: torch.Tensor) -> torch.Tensor:
        return (rows @ along / rows.norm(dim=1)).clamp(-1, 1).acos().rad2deg()

    for turn in (10.0, -25.0):
        got = edited(concept.rotate(turn), x)
        torch.testing.assert_close(got.norm(dim=1), x.norm(dim=1))
        torch.testing.assert_close(angle(got), (angle(x) - turn).abs())


def test_independent_directions_are_reflected_and_dependent_ones_refused() -> None:
    reading = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    concept = Concept(reading, reading + 0.1, [1.0, 2.0, 3.0], site=SITE)
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        concept.read(edited(concept.reflect(), x)), -concept.read(x), atol=1e-4, rtol=0
    )
    many = MeanDifference().fit(gaussian(4))
    with pytest.raises(ValueError, match="depend on one another"):
        many.reflect()
    with pytest.raises(ValueError, match=r"has 4 directions: take one of them, concept\['a'\]"):
        many.rotate(10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_dtype(dtype: torch.dtype) -> None:
    acts = gaussian(condition=1)
    concept, x = MeanDifference().fit(acts.to(torch.float32)), acts[SITE].to(dtype)
    S = covariance(acts[SITE])
    for given in (concept.set(1.0, metric=S), concept.erase(metric=S), concept.reflect(), concept.rotate(20)):
        wide = edited(given, x.float())
        assert edited(given, x).dtype == dtype
        torch.testing.assert_close(edited(given, x).float(), wide, atol=0.1, rtol=0.02)


@pytest.mark.parametrize("given", ["2", None, [None], ["a"]])
def test_what_is_no_number_is_refused(given: Any) -> None:
    concept = MeanDifference().fit(gaussian())
    for act in (concept.add, concept.set):
        with pytest.raises(TypeError, match="expected one number or 1, got"):
            act(given)


def test_what_is_no_metric_and_no_angle_is_refused() -> None:
    concept = MeanDifference().fit(gaussian())
    lopsided = torch.eye(12)
    lopsided[0, 1] = 0.5
    nan = torch.full((12, 12), float("nan"))
    for act in (lambda metric: concept.set(1.0, metric=metric), lambda metric: concept.erase(metric=metric)):
        with pytest.raises(ValueError, match="None, 'orthogonal' or a covariance, got 'oblique'"):
            act("oblique")
        for shape in ((11, 11), (12,)):
            with pytest.raises(ValueError, match=r"a covariance of shape \(12, 12\), got \(1"):
                act(torch.ones(shape))
        for wrong in (lopsided, nan, -torch.eye(12)):
            with pytest.raises(ValueError, match="the metric is no covariance"):
                act(wrong)
    with pytest.raises(ValueError, match="are orthogonal: it cannot steer"):
        concept.set(1.0, metric=torch.zeros(12, 12))
    for angle in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a finite number of degrees, got"):
            concept.rotate(angle)
    for act in (concept.reflect, lambda **other: concept.rotate(10, **other)):
        with pytest.raises(ValueError, match="force=True"):
            act(site="resid_post.2")
        assert act(site="resid_post.2", force=True, positions="last").positions == "last"


KINDS: dict[str, tuple[Callable[..., Any], Callable[..., torch.Tensor]]] = {
    "add": (
        lambda c, S: c.add(3.0),
        lambda x, A, W, S, c: x + 3 * c.scale * W / (A @ W),
    ),
    "set in a metric": (
        lambda c, S: c.set(2.0, metric=S),
        lambda x, A, W, S, c: x + (2 * c.scale + c.offset - x @ A)[:, None] * (A @ S) / (A @ S @ A),
    ),
    "set along the steering direction": (
        lambda c, S: c.set(-2.0),
        lambda x, A, W, S, c: x + (c.offset - 2 * c.scale - x @ A)[:, None] * W / (A @ W),
    ),
    "erase along the steering direction": (
        lambda c, S: c.erase(),
        lambda x, A, W, S, c: x - ((x - c.mean) @ A)[:, None] * W / (A @ W),
    ),
    "erase as LEACE": (
        lambda c, S: c.erase(metric=S),
        lambda x, A, W, S, c: x - ((x - c.mean) @ (W @ S.inverse()))[:, None] * W / (W @ S.inverse() @ W),
    ),
    "erase orthogonally": (
        lambda c, S: c.erase(metric="orthogonal"),
        lambda x, A, W, S, c: x - ((x - c.mean) @ A)[:, None] * A / (A @ A),
    ),
    "reflect": (
        lambda c, S: c.reflect(),
        lambda x, A, W, S, c: x - 2 * (x @ A - c.offset)[:, None] * W / (A @ W),
    ),
    "clamp": (
        lambda c, S: c.clamp(low=1.0),
        lambda x, A, W, S, c: x + (c.scale - (x @ A - c.offset)).clamp(min=0)[:, None] * W / (A @ W),
    ),
    "rotate": (
        lambda c, S: c.rotate(40),
        lambda x, A, W, S, c: torch.stack([turned(row, W, 40) for row in x]),
    ),
}


def turned(row: torch.Tensor, towards: torch.Tensor, degrees: float) -> torch.Tensor:
    """By the matrix of the rotation in the plane of both."""
    u = towards / towards.norm()
    e = row - (row @ u) * u
    plane = torch.stack([u, e / e.norm()])
    t = torch.tensor(degrees).deg2rad()
    within = torch.tensor([[t.cos(), t.sin()], [-t.sin(), t.cos()]])
    return row + plane.T @ ((within - torch.eye(2)) @ (plane @ row))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["all", "last|generated"])
def test_it_does_what_a_raw_hook_does(
    kind: str, rule: str, tiny: Any, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    model = tiny("llama")
    labels = ["long" if len(text) > 40 else "short" for text in sentences]
    acts = capture(model, Examples(sentences, labels), SITE, position="all")
    concept, S = MeanDifference().fit(acts), torch.cov(acts[SITE].T)
    skewed = Logistic().fit(acts).reading
    concept = Concept(
        skewed,
        concept.steering,
        concept.offset,
        concept.scale,
        concept.mean,
        site=SITE,
        model_name=model.name,
    )
    make, by_hand = KINDS[kind]

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        first = 0 if rule == "all" else n - 1
        new = by_hand(hidden[first:], concept.reading[0], concept.steering[0], S, concept)
        return torch.cat([hidden[:first], new])

    given = replace(make(concept, S), positions=rule)
    acts_like(model, given, "model.layers.1", edit, sentences[:4])


def test_interventions_compose_in_their_order(tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")
    labels = ["long" if len(text) > 40 else "short" for text in sentences]
    acts = capture(model, Examples(sentences, labels), SITE)
    concept = MeanDifference().fit(acts)
    with intervene(model, concept.set(1.0), concept.reflect(), concept.add(0.25)):
        got = concept.read(capture(model, sentences, SITE))
    torch.testing.assert_close(got, torch.full_like(got, -0.75), atol=1e-4, rtol=0)
    with intervene(model, concept.add(0.25), concept.reflect(), concept.set(1.0)):
        got = concept.read(capture(model, sentences, SITE))
    torch.testing.assert_close(got, torch.ones_like(got), atol=1e-4, rtol=0)
