"""Partial correlations, beside their definition, the precision matrix and repeated draws."""

import numpy as np
import pytest
import torch

from conceptscope.analyses import match_terms


def made(n: int = 200, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Terms that rise together, and features that follow one of them, two, and none."""
    rng = np.random.default_rng(seed)
    common = 5 * rng.normal(size=n)
    terms = {name: common + rng.normal(size=n) for name in ("volume", "surface", "charge")}
    features = [
        terms["surface"] + 0.3 * rng.normal(size=n),
        terms["volume"] - terms["charge"] + 0.3 * rng.normal(size=n),
        rng.normal(size=n),
    ]
    return np.stack(features, 1), terms


def residual(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LinearRegression

    return x - LinearRegression().fit(others, x).predict(others)


def test_it_is_the_correlation_of_what_regressions_on_the_other_terms_leave() -> None:
    features, terms = made()
    found = match_terms(features, terms).to_frame()
    for component in range(3):
        for name in terms:
            others = np.stack([column for other, column in terms.items() if other != name], 1)
            expected = np.corrcoef(residual(features[:, component], others), residual(terms[name], others))
            assert found.loc[(component, name), "partial"] == pytest.approx(expected[0, 1])
            plain = np.corrcoef(features[:, component], terms[name])[0, 1]
            assert found.loc[(component, name), "plain"] == pytest.approx(plain)


def test_it_is_in_the_precision_matrix() -> None:
    features, terms = made()
    everything = np.stack([features[:, 0], *terms.values()], 1)
    precision = np.linalg.inv(np.cov(everything.T))
    expected = -precision[0, 1:] / np.sqrt(precision[0, 0] * np.diag(precision)[1:])
    found = match_terms(features[:, :1], terms)
    np.testing.assert_allclose([one.partial for one in found.matches], expected)


def test_plain_correlations_cannot_tell_terms_apart_and_partial_ones_do() -> None:
    features, terms = made()
    found = match_terms(features, terms)
    frame = found.to_frame()
    assert frame.loc[0, "plain"].min() > 0.9
    assert found.best(0).term == "surface"
    assert found.best(0).low > 0.9
    assert frame.loc[(0, "volume"), "low"] < 0 < frame.loc[(0, "volume"), "high"]
    assert frame.loc[(1, "volume"), "low"] > 0.8
    assert frame.loc[(1, "charge"), "high"] < -0.8


def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    def covers(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        terms = {name: rng.normal(size=60) for name in ("a", "b")}
        one = match_terms((terms["a"] + rng.normal(size=60))[:, None], terms, resamples=100).matches[0]
        return one.low <= 0.5**0.5 <= one.high

    assert np.mean([covers(seed) for seed in range(60)]) > 0.85


def test_examples_of_one_group_are_drawn_together() -> None:
    features, terms = made(60)
    five_times = [np.repeat(values, 5, axis=0) for values in (features, *terms.values())]
    repeated = dict(zip(terms, five_times[1:], strict=True))
    groups = np.repeat(np.arange(60), 5)
    once = match_terms(features, terms)
    alone = match_terms(five_times[0], repeated)
    grouped = match_terms(five_times[0], repeated, groups=groups)
    width = [one.matches[6].high - one.matches[6].low for one in (once, alone, grouped)]
    assert width[1] < 0.6 * width[0]
    assert width[2] == pytest.approx(width[0], rel=1e-6)


def test_shifts_and_scales_change_only_signs() -> None:
    features, terms = made()
    moved = {"volume": 3 - 2 * terms["volume"], **{name: terms[name] for name in ("surface", "charge")}}
    plain = match_terms(features, terms).matches
    found = match_terms(torch.from_numpy(1e4 + 7 * features), moved).matches
    for a, b in zip(plain, found, strict=True):
        sign = -1 if a.term == "volume" else 1
        assert b.partial == pytest.approx(sign * a.partial)


def test_a_feature_that_the_terms_explain_has_partial_one_with_its_own() -> None:
    _, terms = made()
    found = match_terms(terms["volume"][:, None], terms)
    assert found.best(0).term == "volume"
    assert found.best(0).partial == pytest.approx(1)


def test_a_constant_feature_has_no_correlation() -> None:
    _, terms = made()
    found = match_terms(np.ones((200, 1)), terms)
    assert all(np.isnan([one.partial, one.low, one.high, one.plain]).all() for one in found.matches)


def test_seeds_and_generators_are_the_same_draws() -> None:
    features, terms = made()
    generator = torch.Generator().manual_seed(4)
    same = [match_terms(features, terms, generator=g).matches for g in (4, generator)]
    assert same[0] == same[1]
    assert match_terms(features, terms, generator=5).matches != same[0]


def test_what_matches_show() -> None:
    features, terms = made()
    found = match_terms(features, terms)
    assert repr(found).startswith("TermMatches(3 components, 3 terms, 200 examples; component 0: surface 0.9")
    ax = found.plot()
    written = [text.get_text() for text in ax.texts]
    assert len(written) == sum(one.low > 0 or one.high < 0 for one in found.matches)
    assert "surface" in found._repr_html_()
    with pytest.raises(KeyError, match="no component 3: there are 0 to 2"):
        found.best(3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.ones(200)}, r"features must be finite numbers, .* the shape is \(200,\)"),
        ({"features": np.full((200, 1), np.nan)}, "features must be finite numbers"),
        ({"terms": {}}, "there are no terms"),
        ({"terms": {"a": np.ones(7)}}, "the term 'a' has 7 values for 200 examples"),
        ({"terms": {"a": np.full(200, 2.0)}}, "is a sum of other terms"),
        ({"groups": [0] * 10}, "there are 10 groups for 200 examples"),
        ({"groups": [0, 1] * 100}, "intervals need 3 groups or more, and there are 2"),
        ({"resamples": 50}, "resamples must be a whole number, 100 or more; got 50"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    features, terms = made()
    given = {"features": features, "terms": terms} | change
    with pytest.raises(ValueError, match=message):
        match_terms(given.pop("features"), given.pop("terms"), **given)
