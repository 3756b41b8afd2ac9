"""Formulas in a few terms, beside scikit-learn, brute force and simulated noise."""

import itertools

import numpy as np
import pytest
import torch

from conceptscope.analyses import sparse_formula
from conceptscope.analyses._reduced_library import ReducedLibrary

RNG = np.random.default_rng(0)


def library(n: int = 80, n_terms: int = 9, seed: int = 0) -> dict[str, np.ndarray]:
    """Terms that rise together."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n)
    return {f"t{number}": common + 0.5 * rng.normal(size=n) for number in range(n_terms)}


def left(terms: dict[str, np.ndarray], names: tuple[str, ...], y: np.ndarray) -> float:
    columns = np.stack([terms[name] for name in names], 1)
    return float(np.square(y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]).mean() ** 0.5)


def test_every_size_has_the_subset_that_brute_force_finds_best() -> None:
    terms = library()
    y = terms["t1"] - terms["t4"] + 0.5 * terms["t7"] + RNG.normal(size=80)
    found = sparse_formula(terms, y, max_terms=4)
    for size, one in enumerate(found.sizes, 1):
        ranked = sorted((left(terms, some, y), some) for some in itertools.combinations(terms, size))
        assert one.terms == ranked[0][1]
        assert one.runner_up == ranked[1][1]
        np.testing.assert_allclose([one.rms, one.runner_up_rms], [ranked[0][0], ranked[1][0]], rtol=1e-10)


def test_planted_terms_come_back_exactly_and_their_number_is_chosen() -> None:
    terms = library(n_terms=13)
    planted = {"t2": 3.0, "t5": -1.5, "t6": 0.1, "t11": 40.0}
    found = sparse_formula(terms, sum(factor * terms[name] for name, factor in planted.items()))
    assert found.terms == tuple(planted)
    np.testing.assert_allclose([found.coefficients[name] for name in planted], list(planted.values()))
    assert found.rms < 1e-12


def test_coefficients_and_errors_are_those_of_ordinary_least_squares() -> None:
    terms = library()
    y = terms["t0"] + RNG.normal(size=80)
    one = sparse_formula(terms, y, max_terms=3).of_size(3)
    columns = np.stack([terms[name] for name in one.terms], 1)
    spread = np.square(y - one.values(terms)).sum() / (80 - 3)
    expected = np.linalg.solve(columns.T @ columns, columns.T @ y)
    np.testing.assert_allclose(one.coefficients, expected, rtol=1e-9)
    np.testing.assert_allclose(
        one.errors, np.sqrt(spread * np.diag(np.linalg.inv(columns.T @ columns))), rtol=1e-9
    )
    assert one.r2 == pytest.approx(1 - np.square(y - one.values(terms)).sum() / np.square(y - y.mean()).sum())


def test_pursuit_is_scikit_learns() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    terms = library(n_terms=8)
    scaled = np.stack([column / np.linalg.norm(column) for column in terms.values()], 1)
    y = terms["t1"] - terms["t4"] + RNG.normal(size=80)
    for size in (1, 2, 3, 4):
        theirs = linear_model.OrthogonalMatchingPursuit(n_nonzero_coefs=size, fit_intercept=False)
        chosen = np.flatnonzero(theirs.fit(scaled, y).coef_)
        assert sparse_formula(terms, y, method="omp").of_size(size).terms == tuple(f"t{c}" for c in chosen)


def test_pursuit_is_never_better_and_misses_a_difference_of_terms_that_rise_together() -> None:
    rng = np.random.default_rng(1)
    common = 10 * rng.normal(size=200)
    a, b = common + rng.normal(size=200), common + rng.normal(size=200)
    terms = {"a": a, "b": b, "decoy": a - b + rng.normal(size=200)}
    assert sparse_formula(terms, a - b, max_terms=2).terms == ("a", "b")
    missed = sparse_formula(terms, a - b, max_terms=2, method="omp")
    assert missed.of_size(2).rms > 0.1
    assert missed.survives is None


def test_the_choice_survives_as_much_noise_as_simulation_says() -> None:
    terms = library(n=60, n_terms=7)
    y = 2 * terms["t1"] - 1.5 * terms["t4"]
    found = sparse_formula(terms, y, max_terms=3)
    assert found.terms == ("t1", "t4")
    rng = np.random.default_rng(3)

    def kept(scale: float) -> float:
        noise = rng.normal(size=(600, 60))
        tried = [best(terms, y + scale * found.survives * row) for row in noise]
        return float(np.mean([one == found.terms for one in tried]))

    assert kept(0.5) > 0.97
    assert kept(1.0) == pytest.approx(0.95, abs=0.04)
    assert kept(2.0) < 0.9


def best(terms: dict[str, np.ndarray], y: np.ndarray) -> tuple[str, ...]:
    """The best two terms, by determinants."""
    columns = {name: column / np.linalg.norm(column) for name, column in terms.items()}

    def explained(a: str, b: str) -> float:
        c, p, q = columns[a] @ columns[b], columns[a] @ y, columns[b] @ y
        return float((p * p - 2 * c * p * q + q * q) / (1 - c * c))

    return max(itertools.combinations(columns, 2), key=lambda pair: explained(*pair))


def test_noise_alone_gets_one_term() -> None:
    """Extended BIC pays for the choice among many terms; one term is the least that is tried."""
    rng = np.random.default_rng(5)
    sizes = [
        len(sparse_formula(library(200, 12, seed), rng.normal(size=200), max_terms=3).terms)
        for seed in range(20)
    ]
    assert sizes.count(1) >= 18


def test_units_change_nothing_but_the_numbers() -> None:
    terms = library()
    y = terms["t1"] - terms["t4"] + RNG.normal(size=80)
    plain = sparse_formula(terms, y)
    scaled = sparse_formula({name: 1e6 * column for name, column in terms.items()}, torch.from_numpy(1e3 * y))
    assert scaled.terms == plain.terms
    assert scaled.rms == pytest.approx(1e3 * plain.rms)
    assert scaled.survives == pytest.approx(1e3 * plain.survives)


def test_nothing_overtakes_the_whole_library() -> None:
    terms = library(n_terms=2)
    found = sparse_formula(terms, terms["t0"] + terms["t1"])
    assert found.survives == np.inf
    assert found.chosen.runner_up is None


def test_what_a_formula_shows() -> None:
    terms = library(n_terms=4)
    found = sparse_formula(terms, 2 * terms["t1"] - terms["t3"], max_terms=3)
    assert repr(found).startswith("Formula(2 t1 - 1 t3; 2 of 4 terms, rms ")
    frame = found.to_frame()
    assert list(frame.index) == [1, 2, 3]
    assert frame["chosen"].tolist() == [False, True, False]
    assert "2 t1 - 1 t3" in found._repr_html_()
    ax = found.plot()
    assert ax.get_xlabel() == "terms"
    assert len(ax.get_lines()) == 3
    with pytest.raises(KeyError, match="no formula of 4 terms: there are those of 1 to 3"):
        found.of_size(4)
    with pytest.raises(KeyError, match="needs the term 't1': the library has t0"):
        found.chosen.values({"t0": [1.0]})


def test_reduction_keeps_all_lengths() -> None:
    terms = library()
    y = RNG.normal(size=80)
    reduced = ReducedLibrary.of(terms, y)
    assert np.square(reduced.target).sum() + reduced.outside == pytest.approx(reduced.total)
    np.testing.assert_allclose(np.linalg.norm(reduced.columns, axis=0), 1)


X = np.arange(10.0)


@pytest.mark.parametrize(
    ("terms", "y", "settings", "message"),
    [
        ({}, X, {}, "the library has no terms"),
        ({"a": X[:5]}, X, {}, "the term 'a' has 5 values for 10 examples"),
        ({"a": np.full(10, np.nan)}, X, {}, "10 of 10 values of the term 'a' are not finite"),
        ({"a": 0 * X}, X, {}, "the term 'a' is zero for all examples"),
        ({"a": X, "b": X**2, "c": X + 2 * X**2}, X, {}, "the term '[abc]' is a sum of other terms"),
        ({"a": X[:2], "b": X[:2] ** 2}, X[:2], {}, "2 examples cannot tell 2 terms apart"),
        ({"a": X}, X[:, None], {}, r"y must be one number for each example; its shape is \(10, 1\)"),
        ({"a": X}, X, {"max_terms": 0}, "max_terms must be a whole number above 0, got 0"),
        ({"a": X}, X, {"max_terms": True}, "max_terms must be a whole number above 0, got True"),
        ({"a": X}, X, {"method": "lasso"}, "method must be one of 'exhaustive', 'omp'; got 'lasso'"),
    ],
)
def test_refusals(terms: dict[str, np.ndarray], y: np.ndarray, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sparse_formula(terms, y, **settings)


def test_too_many_subsets_are_refused_and_pursued() -> None:
    rng = np.random.default_rng(0)
    terms = {f"t{number}": rng.normal(size=60) for number in range(40)}
    with pytest.raises(ValueError, match="40 terms have 4,598,478 subsets of at most 6"):
        sparse_formula(terms, terms["t3"])
    assert sparse_formula(terms, terms["t3"], method="omp").terms == ("t3",)
