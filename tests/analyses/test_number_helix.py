"""Lines, curves and helices of numbers: planted ones, beside scikit-learn, closed forms and raw hooks."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneOut

import conceptscope as cs
from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_folds import number_folds
from conceptscope.analyses._helix_numbers import NumberMeans

ALL = np.arange(100)


def made(x: np.ndarray, numbers: Sequence[int] | np.ndarray = ALL) -> cs.Activations:
    return cs.Activations({"resid_post.0": torch.from_numpy(x)}, list(map(int, numbers)))


def waves(period: float, numbers: np.ndarray = ALL) -> list[np.ndarray]:
    turned = 2 * np.pi * numbers / period
    return [np.cos(turned)] if period == 2 else [np.sqrt(2) * np.cos(turned), np.sqrt(2) * np.sin(turned)]


def planted(parts: list[np.ndarray], *, d: int = 512, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Each part along a direction of its own, and noise in all dimensions."""
    rng = np.random.default_rng(seed)
    turned = np.linalg.qr(rng.normal(size=(d, len(parts))))[0]
    return np.stack(parts, 1) @ turned.T + noise * rng.normal(size=(len(parts[0]), d))


FEW = [k % 10 for k in range(100)]
LINE = (ALL - 49.5) / 28.87
HELIX = [LINE, *(wave for period in (2, 5, 10, 100) for wave in waves(period))]


@pytest.mark.parametrize(
    ("parts", "periods"),
    [(HELIX, (2.0, 5.0, 10.0, 100.0)), ([LINE, *waves(7)], (7.0,)), ([LINE], ())],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_planted_periods_are_found_and_no_others(parts, periods, seed):
    assert cs.select_periods(made(planted(parts, noise=0.02, seed=seed)), generator=seed) == periods


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (HELIX[:-2], "helix"),
        (waves(10) + waves(5), "circle"),
        ([LINE], "line"),
        ([LINE, LINE**2, LINE**3], "curve"),
        ([LINE, LINE**2, *waves(10)], "curve with a clock"),
        ([LINE, waves(10)[0]], "wave"),
        ([LINE, *waves(2)], "wave"),
    ],
)
def test_the_verdict_names_what_was_planted(parts, name):
    found = cs.fit_number_helix(made(planted(parts)), periods=[2, 5, 10])
    assert found.shape.name == name, found.verdict
    assert found.verdict.startswith(f"A {name}")


def test_the_verdict_owns_that_a_long_circle_may_be_a_curve():
    for parts in (HELIX, [LINE, LINE**2, *waves(10)]):
        found = cs.fit_number_helix(made(planted(parts)))
        assert found.shape.name == "helix"
        assert "A circle of period 100 cannot be told from a curve." in found.verdict


def test_of_noise_nothing_is_claimed():
    noise = np.random.default_rng(0).normal(size=(100, 64))
    found = cs.fit_number_helix(made(noise))
    assert found.shape.name == "nothing"
    assert found.p > 0.05
    assert found.verdict.startswith("Nothing: ")


def test_a_wandering_path_is_no_clock():
    path = np.random.default_rng(3).normal(size=(100, 3)).cumsum(0)
    found = cs.fit_number_helix(made(path))
    assert not any(clock.holds for clock in found.clocks)
    assert cs.helix_diagnostics(made(path), draws=50, periods=range(2, 40)).p > 0.05


def test_a_period_seen_once_is_not_claimed():
    found = cs.fit_number_helix(made(planted([LINE, *waves(100)])), periods=[100])
    assert found["helix"].cv_r2 > 0.5
    assert np.isnan(found.clocks[0].gain)
    assert found.shape.name == "curve"


def helix_columns(numbers: np.ndarray = ALL) -> np.ndarray:
    columns = [np.ones(len(numbers)), numbers]
    for period in (2, 5, 10, 100):
        columns += waves(period, numbers)
    return np.stack(columns, 1).astype(float)


def test_fit_and_prediction_are_least_squares_in_all_dimensions():
    x = planted(HELIX, d=20)
    found = cs.fit_number_helix(made(x))
    own = LinearRegression().fit(helix_columns(), x)
    np.testing.assert_allclose(found.predict(ALL).numpy(), own.predict(helix_columns()), atol=1e-10)
    assert found["helix"].r2 == pytest.approx(
        1 - np.square(x - own.predict(helix_columns())).sum() / np.square(x - x.mean(0)).sum()
    )
    assert found.columns == (
        *("constant", "linear", "cos 2", "cos 5", "sin 5", "cos 10", "sin 10", "cos 100", "sin 100"),
    )
    assert found.coefficients.shape == (9, 20)
    assert found["polynomial"].n_coefficients == 9


def test_held_out_scores_are_those_of_refits():
    x = planted(HELIX, d=20)
    found = cs.fit_number_helix(made(x), folds=100)
    left, wholes = np.empty_like(x), np.empty_like(x)
    parts = np.empty_like(x)
    for train, test in LeaveOneOut().split(x):
        columns = helix_columns()
        left[test] = x[test] - LinearRegression().fit(columns[train], x[train]).predict(columns[test])
        wholes[test] = x[test] - x[train].mean(0)
        pca = PCA(8).fit(x[train])
        parts[test] = x[test] - pca.inverse_transform(pca.transform(x[test]))
    assert found["helix"].cv_r2 == pytest.approx(1 - np.square(left).sum() / np.square(wholes).sum())
    assert found["pca"].cv_r2 == pytest.approx(1 - np.square(parts).sum() / np.square(wholes).sum())
    assert found["pca"].r2 == pytest.approx(PCA(8).fit(x).explained_variance_ratio_.sum())


def test_prompts_of_a_number_are_held_out_together_and_count_once():
    rng = np.random.default_rng(0)
    x = planted(HELIX, d=20)
    rows = np.repeat(ALL, rng.integers(1, 5, 100))
    found = cs.fit_number_helix(made(x[rows] + 0.0, rows))
    once = cs.fit_number_helix(made(x))
    assert [score.cv_r2 for score in found.scores] == pytest.approx([score.cv_r2 for score in once.scores])
    assert (found.n_rows, once.n_rows, found.between) == (len(rows), 100, pytest.approx(1.0))
    order = rng.permutation(len(rows))
    mixed = cs.fit_number_helix(made(x[rows][order], rows[order]))
    assert mixed["helix"].cv_r2 == pytest.approx(once["helix"].cv_r2)


def test_rotation_shift_and_scale_change_nothing():
    x = planted(HELIX, d=12)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    plain, moved = (cs.fit_number_helix(made(given)) for given in (x, 3 * x @ turn + 5))
    for one, other in zip(plain.scores, moved.scores, strict=True):
        assert (one.r2, one.cv_r2) == pytest.approx((other.r2, other.cv_r2))
    assert plain.shape.name == moved.shape.name


def test_pca_takes_the_variance_that_it_says():
    x = planted(HELIX, d=30)
    found = cs.fit_number_helix(made(x), pca=5)
    assert found.kept == pytest.approx(PCA(5).fit(x).explained_variance_ratio_.sum())
    assert found.coordinates.shape == (100, 5)


def test_the_circularity_is_the_ratio_of_singular_values_and_noise_makes_no_circle():
    ellipse = [LINE, 3 * waves(10)[0], waves(10)[1]]
    clean = cs.helix_diagnostics(made(planted(ellipse, noise=0)), periods=[10], draws=1)
    assert clean.circularity == pytest.approx(1 / 3, abs=1e-6)
    flat = planted([LINE, waves(10)[0]], noise=0.15)
    centred = LinearRegression().fit(np.stack([ALL, *waves(10)], 1), flat).coef_[:, 1:]
    lengths = np.linalg.svd(centred, compute_uv=False)
    assert lengths[1] / lengths[0] > 0.25
    assert cs.helix_diagnostics(made(flat), periods=[10], draws=1).circularity < 0.15


def test_the_diagnostics_are_those_of_the_formulas():
    line = cs.helix_diagnostics(made(LINE[:, None]), draws=9)
    assert line.parity_split == pytest.approx(0.5)
    assert line.orderedness == 1.0
    assert line.parity_share == pytest.approx(0, abs=1e-12)
    x = planted([LINE, *waves(2)], noise=0.02, d=4)
    found = cs.helix_diagnostics(made(x), draws=50)
    one, two = (np.linalg.norm(x[k:] - x[:-k], axis=1).mean() for k in (1, 2))
    assert found.parity_split == pytest.approx(one / two)
    assert found.parity_share == pytest.approx(0.5, abs=0.01)
    assert found.best_period == 2.0
    assert np.isnan(found.circularity)
    assert found.p == pytest.approx(1 / 51)
    assert found.r2_gain > found.null


def test_the_null_keeps_its_level():
    rng = np.random.default_rng(0)
    below = 0
    for _ in range(40):
        path = np.zeros((150, 2))
        for t in range(1, 150):
            path[t] = 0.6 * path[t - 1] + rng.normal(size=2)
        below += cs.helix_diagnostics(made(path[50:]), draws=19, pca=2).p <= 0.05
    assert below <= 6


def test_waves_that_vanish_on_the_numbers_are_left_out():
    tens = np.arange(0, 100, 10)
    means = NumberMeans.of(made(np.random.default_rng(0).normal(size=(10, 4)), tens), None, None, 100)
    assert Basis.of(means, 1, [20.0]).names == ("constant", "linear", "cos 20")
    assert (means.step, means.span) == (10, 100)


def test_folds_are_even_and_of_numbers():
    fold = number_folds(23, 5, np.random.default_rng(0))
    assert sorted(np.bincount(fold).tolist()) == [4, 4, 5, 5, 5]


def test_the_same_seed_gives_the_same_result():
    acts = made(planted(HELIX, d=20))
    one, two, three = (cs.fit_number_helix(acts, generator=seed) for seed in (1, 1, 2))
    assert one.to_frame().equals(two.to_frame())
    assert one.periods_frame().equals(two.periods_frame())
    assert not one.to_frame().equals(three.to_frame())


def test_what_is_shown():
    found = cs.fit_number_helix(made(planted(HELIX)))
    assert list(found.to_frame().index) == ["helix", "circles", "line", "polynomial", "pca", "shuffled"]
    assert list(found.to_frame().columns) == ["n_coefficients", "r2", "cv_r2", "se"]
    assert list(found.periods_frame().index) == [2, 5, 10, 100]
    assert repr(found).startswith("NumberHelix(resid_post.0, 100 numbers, 100 rows; held-out R2 0.8")
    assert "A helix of periods 2, 5 and 10" in found._repr_html_()
    assert len(found.plot().get_xticklabels()) == 6
    assert {text.get_text() for text in found.plot_numbers().texts} >= {"0", "95"}
    seen = cs.helix_diagnostics(made(planted(HELIX)), draws=9)
    assert seen.to_frame().r2_gain.idxmax() == seen.best_period
    assert "best period" in seen._repr_html_()
    assert seen.plot().get_xlabel() == "period"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"periods": [2, 150]}, "period 150 cannot be told in the numbers 0 to 99"),
        ({"periods": [1]}, "period 1 cannot be told"),
        ({"periods": [5, 5.0]}, "period 5 is given twice"),
        ({"periods": [], "linear": False}, "nothing to fit"),
        ({"folds": 1}, "folds must be a whole number, 2 or more; got 1"),
        ({"folds": 101}, "100 numbers are too few for 101 folds"),
        ({"pca": 0}, "pca must be a whole number, 1 or more; got 0"),
        ({"shuffles": 0}, "shuffles must be a whole number"),
        ({"numbers": [1, 2]}, "2 numbers for 100 rows"),
        ({"numbers": [7] * 100}, "needs 4 numbers or more, got 7"),
        ({"numbers": FEW, "periods": [2, 3, 4, 5], "folds": 5}, "10 numbers, 8 .* too few for 9 coeff"),
    ],
)
def test_what_cannot_be_fitted_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        cs.fit_number_helix(made(planted(HELIX, d=8)), **settings)


def test_bad_rows_and_numbers_are_refused():
    x = planted(HELIX, d=8)
    with pytest.raises(ValueError, match="the same for every"):
        cs.fit_number_helix(made(np.ones((100, 3))))
    with pytest.raises(ValueError, match="no labels"):
        cs.fit_number_helix(cs.Activations({"embed": torch.from_numpy(x)}))
    for odd in (["1"] * 100, [0.5] * 100, [float("nan")] * 100, [True] * 100):
        with pytest.raises(TypeError, match="numbers must be whole numbers"):
            cs.fit_number_helix(made(x), odd)
    with pytest.raises(KeyError, match="was not captured"):
        cs.fit_number_helix(made(x), site="resid_post.3")
    with pytest.raises(ValueError, match="gain must be"):
        cs.select_periods(made(x), gain=0)
    with pytest.raises(ValueError, match="no periods"):
        cs.helix_diagnostics(made(x), periods=[])
    with pytest.raises(ValueError, match="draws must be"):
        cs.helix_diagnostics(made(x), draws=0)
    with pytest.raises(KeyError, match="no basis 'spiral'"):
        cs.fit_number_helix(made(x))["spiral"]
    x[4, 2] = np.nan
    with pytest.raises(ValueError, match="the first is row 4"):
        cs.fit_number_helix(made(x))


@pytest.fixture(scope="module")
def acts(world: cs.HookedModel) -> cs.Activations:
    return cs.capture(world, cs.Examples([f"{a} plus" for a in ALL], labels=ALL), "resid_post.0", position=0)


def test_the_embedded_model_has_a_curve_from_which_the_number_is_read_and_no_clock(acts):
    found = cs.fit_number_helix(acts)
    assert found.shape.name == "curve"
    assert found.readout > 0.95
    assert not any(clock.holds for clock in found.clocks)
    assert found["polynomial"].cv_r2 > found["helix"].cv_r2 + 0.1 > found["line"].cv_r2 + 0.1


@pytest.mark.parametrize("basis", ["helix", "polynomial"])
def test_a_shift_is_what_a_raw_hook_adds(world, acts, basis):
    found = cs.fit_number_helix(acts)
    first, last = np.array([3, 40, 71]), np.array([30, 4, 17])
    texts = [f"{a} plus 5 is" for a in first]
    with cs.intervene(world, cs.helix_shift(found, first, last, basis=basis, positions="first")):
        logits = cs.next_token_logits(world, texts)
    x = acts["resid_post.0"].double().numpy()
    columns = helix_columns() if basis == "helix" else np.vander(LINE, 9)
    path = LinearRegression().fit(columns, x).predict(columns)
    helix = LinearRegression().fit(helix_columns(), x).predict(helix_columns())
    step, own = path[last] - path[first], helix[last] - helix[first]
    step *= np.linalg.norm(own, axis=1, keepdims=True) / np.linalg.norm(step, axis=1, keepdims=True)

    def add(module: torch.nn.Module, given: object, output: object) -> object:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[:, 1] += torch.from_numpy(step).to(hidden)
        return output

    ids = world.tokenizer(texts, return_tensors="pt")
    handle = world.hf.model.layers[0].register_forward_hook(add)
    try:
        with torch.inference_mode():
            expected = world.hf(**ids).logits[:, -1]
    finally:
        handle.remove()
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    untouched = cs.next_token_logits(world, texts)
    assert (logits - untouched).abs().max() > 0.1


def test_one_shift_for_all_is_an_affine_edit_and_there_and_back_is_nothing(world, acts):
    found = cs.fit_number_helix(acts)
    there, back = cs.helix_shift(found, 3, 30), cs.helix_shift(found, 30, 3)
    torch.testing.assert_close(there.edit.affine.constant, (found.predict([30]) - found.predict([3]))[0])
    texts = ["3 plus 5 is"]
    with cs.intervene(world, there, back):
        both = cs.next_token_logits(world, texts)
    torch.testing.assert_close(both, cs.next_token_logits(world, texts), rtol=1e-4, atol=1e-4)


def test_shifts_that_cannot_be_are_refused(world, acts):
    found = cs.fit_number_helix(acts)
    with pytest.raises(ValueError, match="150 is not among the 100 numbers from 0 to 99"):
        cs.helix_shift(found, 3, 150)
    with pytest.raises(ValueError, match="2 numbers to move from and 3 to move to"):
        cs.helix_shift(found, [1, 2], [3, 4, 5])
    with pytest.raises(TypeError, match="whole numbers"):
        cs.helix_shift(found, 1, 2.5)
    with pytest.raises(KeyError, match="no basis 'spiral'"):
        cs.helix_shift(found, 1, 2, basis="spiral")
    shift = cs.helix_shift(found, [1, 2], [3, 4])
    with cs.intervene(world, shift), pytest.raises(ValueError, match="prompt 2 has no numbers: 2 were given"):
        cs.next_token_logits(world, ["1 plus", "2 plus", "3 plus"])


def test_a_helix_of_another_model_is_refused_unless_it_is_meant(world, acts):
    other = cs.Activations(dict(acts), acts.labels, source=dict(acts.source) | {"model_name": "other"})
    found = cs.fit_number_helix(other)
    with pytest.raises(ValueError, match="'other'"), cs.intervene(world, cs.helix_shift(found, 1, 2)):
        pass
    with cs.intervene(world, cs.helix_shift(found, 1, 2, force=True)):
        cs.next_token_logits(world, ["1 plus"])
