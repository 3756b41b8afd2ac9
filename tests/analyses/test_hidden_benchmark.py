from collections.abc import Callable
from types import ModuleType

import pytest
from scipy.spatial.distance import jensenshannon


def test_its_distance_is_the_jensen_shannon_distance(
    benchmark_module: Callable[[str], ModuleType],
) -> None:
    distance = benchmark_module("hidden").distance
    for delta in (0.05, 0.2, 0.45):
        assert distance(delta) == pytest.approx(
            jensenshannon([0.5 + delta, 0.5 - delta], [0.5 - delta, 0.5 + delta])
        )


def test_the_bars_that_take_seconds_are_met(benchmark_module: Callable[[str], ModuleType]) -> None:
    hidden = benchmark_module("hidden")
    bars = [row[2] for part in (hidden.linear, hidden.planted_capability) for row in part(1)]
    assert sum(hidden.VERDICTS[True] in bar for bar in bars) == 5
    assert not any(hidden.VERDICTS[False] in bar for bar in bars)
