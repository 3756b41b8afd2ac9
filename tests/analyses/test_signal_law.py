import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import t

import conceptscope as cs


def test_an_exact_law() -> None:
    signals = [0.1, 0.2, 0.4, 0.8]
    law = cs.signal_law(signals, [7 * signal**-0.9 for signal in signals])
    assert (law.slope, law.low, law.high) == (pytest.approx(-0.9),) * 3
    assert law.time(0.3) == pytest.approx(7 * 0.3**-0.9)
    assert law.r == pytest.approx(-1)


def test_slope_and_interval_beside_scipys_curve_fit() -> None:
    rng = np.random.default_rng(0)
    signals = np.geomspace(0.05, 0.8, 8)
    times = 20 / signals * np.exp(0.2 * rng.standard_normal(8))
    law = cs.signal_law(signals.tolist(), times.tolist())
    best, cov = curve_fit(lambda x, a, b: a * x + b, np.log(signals), np.log(times))
    half = t.ppf(0.975, 6) * np.sqrt(cov[0, 0])
    assert law.slope == pytest.approx(best[0], abs=1e-6)
    assert (law.low, law.high) == (pytest.approx(best[0] - half), pytest.approx(best[0] + half))


def test_the_interval_holds_the_slope_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    signals = np.geomspace(0.05, 0.8, 5)
    laws = [cs.signal_law(signals, 9 / signals * np.exp(0.3 * rng.standard_normal(5))) for _ in range(400)]
    assert 0.92 <= np.mean([law.low <= -1 <= law.high for law in laws]) <= 0.98


def test_the_papers_tiny_transformer() -> None:
    """The prototype's times of research/dynamics.md, row 2, against sqrt(JS) of two coloured tokens."""
    deltas, times = [0.05, 0.1, 0.2, 0.3, 0.45], [197, 97, 61, 41, 28]
    p = [np.array([0.5 + delta, 0.5 - delta]) for delta in deltas]
    signals = [float(np.sqrt(np.sum(one * np.log(2 * one)))) for one in p]  # the middle is even
    assert -1.2 <= cs.signal_law(signals, times).slope <= -0.6


def test_what_learning_time_gives() -> None:
    steps = [0, 10, 20, 40, 80]
    accuracy = {"a": [0, 1, 1, 1, 1], "b": [0, 0, 1, 1, 1], "c": [0, 0, 0, 1, 1], "coin": [0.5] * 5}
    times = {name: cs.learning_time(one, steps, consecutive=2) for name, one in accuracy.items()}
    law = cs.signal_law({"a": 4.0, "b": 2.0, "c": 1.0, "coin": 0.1}, times)
    assert law.slope == pytest.approx(-1)
    assert law.never == ("coin",)
    assert repr(law) == "SignalLaw(slope -1 [-1, -1], r -1.000, 3 concepts; never learned: coin)"
    ax = law.plot()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_refusals() -> None:
    with pytest.raises(ValueError, match="needs three concepts that were learned, got 2"):
        cs.signal_law([1, 2, 3], [1, 2, None])
    with pytest.raises(ValueError, match="2 signals for 3 times"):
        cs.signal_law([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="different concepts: b, c"):
        cs.signal_law({"a": 1, "b": 2}, {"a": 1, "c": 2})
    with pytest.raises(TypeError, match="both by concept, or both in an order"):
        cs.signal_law({"a": 1}, [1])
    with pytest.raises(ValueError, match="signal and time of 1 are 2 and 0: their logarithms"):
        cs.signal_law([1, 2, 3], [1, 0, 3])
    with pytest.raises(ValueError, match="all signals are 1: a slope needs different ones"):
        cs.signal_law([1, 1, 1], [1, 2, 3])


@pytest.mark.parametrize("times", [[600.0, 700.0, 900.0], [20.0, 200.0, 2000.0]])
def test_the_picture_has_plain_numbers_at_its_ticks(times: list[float]) -> None:
    ax = cs.signal_law([0.8, 0.7, 0.6], times).plot()
    ax.figure.canvas.draw()
    for axis in (ax.xaxis, ax.yaxis):
        labels = [label.get_text() for label in axis.get_ticklabels()]
        assert len(labels) >= 3
        assert [f"{float(label):g}" for label in labels] == labels
    assert not ax.get_xticklabels(minor=True)
