import itertools

import numpy as np
import pytest

import conceptscope as cs


def brute_force(accuracy: list[float], consecutive: int) -> int | None:
    for at in range(len(accuracy)):
        window = accuracy[at : at + consecutive]
        if len(window) == consecutive and min(window) >= 0.8:
            return at
    return None


@pytest.mark.parametrize("consecutive", [1, 2, 3])
def test_all_patterns_beside_brute_force(consecutive: int) -> None:
    steps = [2**at for at in range(6)]
    for pattern in itertools.product([0.5, 0.8], repeat=6):
        found = cs.learning_time(pattern, steps, consecutive=consecutive)
        at = brute_force(list(pattern), consecutive)
        assert found.step == (None if at is None else steps[at])
        assert found.reason


def test_why_never() -> None:
    steps = [0, 10, 20, 30]
    never = cs.learning_time([0.5, 0.6, 0.7, 0.65], steps)
    assert (never.step, never.reason) == (None, "at most .7, at step 20, where .8 is wanted")
    late = cs.learning_time([0.5, 0.6, 0.9, 0.9], steps)
    assert late.reason == (
        ".8 or more from step 20 on, which is 2 checkpoints, and 3 in a row are wanted: later ones would tell"
    )
    flickering = cs.learning_time([0.5, 0.9, 0.9, 0.5], steps)
    assert flickering.reason == ".8 or more at single checkpoints, and not at 3 in a row"
    assert not any(np.isnan(one.speed) for one in (never, late, flickering))


def test_speed() -> None:
    assert cs.learning_time([0.5, 1, 1, 1], [0, 10, 20, 30]).speed == 0.1
    assert cs.learning_time([0.5, 0.5, 0.5], [0, 10, 20]).speed == 0
    with pytest.raises(ValueError, match="known at step 0, before any training"):
        _ = cs.learning_time([1, 1, 1], [0, 10, 20]).speed


def test_refusals() -> None:
    with pytest.raises(ValueError, match="3 checkpoints in a row are wanted, and there are 2"):
        cs.learning_time([1, 1], [0, 1])
    with pytest.raises(ValueError, match="2 accuracies for 3 steps"):
        cs.learning_time([1, 1], [0, 1, 2])
    with pytest.raises(ValueError, match="consecutive"):
        cs.learning_time([1, 1], [0, 1], consecutive=0)
