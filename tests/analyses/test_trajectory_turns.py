from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

import conceptscope as cs
from conceptscope.analyses._trajectory_turns import Turn, smoothed, turns


def planted(path: list[tuple[float, float]], accuracy: list[float]) -> cs.Trajectory:
    """One class whose path is given, and two concepts of this accuracy."""
    values = np.array(path)[:, None]
    right = np.repeat(np.array(accuracy)[:, None], 2, 1)
    return cs.Trajectory(
        steps=tuple(10 * number for number in range(len(path))),
        classes=("small blue",),
        axes=("size", "colour"),
        concepts=("size", "colour"),
        values=values,
        low=values,
        high=values,
        accuracy=right,
        accuracy_low=right,
        accuracy_high=right,
        of="outputs",
    )


DRAWN_THEN_TURNED = [(0.5, 0.5), (0.6, 0.5), (0.8, 0.5), (0.9, 0.5), (0.9, 0.7), (0.9, 0.9), (0.9, 0.91)]
NOISE_FIRST = [(0.5, 0.5), (0.6, 0.5), (0.5, 0.5), (0.6, 0.5), (0.6, 0.7), (0.6, 0.9), (0.6, 0.91)]
KNOWN = [0.5, 0.6, 0.7, 0.9, 0.9, 0.9, 0.9]


def test_a_planted_turn_is_found_at_its_step_by_its_angle() -> None:
    (turn,) = planted(DRAWN_THEN_TURNED, KNOWN).turning_points()
    assert turn == Turn("small blue", 30, pytest.approx(90.0), (0.9, 0.5))


def test_a_turned_picture_of_the_path_has_the_same_turn() -> None:
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    path = np.array(DRAWN_THEN_TURNED)
    assert turns(path @ rotation + 3, first=0, angle=45, least=0.05) == [(3, pytest.approx(90))]
    assert turns(path * 10, first=0, angle=45, least=0.5) == [(3, pytest.approx(90))]


def test_noise_before_competence_is_no_turn() -> None:
    found = planted(NOISE_FIRST, KNOWN)
    assert [turn.step for turn in found.turning_points()] == [30]
    ungated = found.turning_points(competence=[1.0] * 7)
    assert [turn.step for turn in ungated] == [10, 20, 30]
    assert found.turning_points(competence=[0, 0, 0, 0, 0.7, 0.8, 1]) == []


def test_a_model_that_is_never_competent_has_no_turns() -> None:
    assert planted(DRAWN_THEN_TURNED, [0.5] * 7).turning_points() == []


def test_a_path_that_rests_does_not_turn() -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal((200, 2))
    assert turns(noise, first=0, angle=0, least=0.2) == []
    slow = np.concatenate([np.linspace((0, 0), (1, 0), 200), np.linspace((1, 0), (1, 1), 200)])
    ((at, degrees),) = turns(slow + 0.1 * noise.repeat(2, 0), first=0, angle=45, least=0.2)
    assert abs(at - 200) <= 40
    assert 45 < degrees < 100


def test_least_and_angle() -> None:
    found = planted(DRAWN_THEN_TURNED, KNOWN)
    assert found.turning_points(angle=91) == []
    assert found.turning_points(least=0.5) == []
    assert [one.step for one in found.turning_points(["size"])] == []


def test_smoothing_beside_scipy() -> None:
    values = np.random.default_rng(0).random((60, 3, 2))
    inside = slice(12, -12)
    wanted = gaussian_filter1d(values, 2.0, axis=0, truncate=6)
    np.testing.assert_allclose(smoothed(values, 2.0)[inside], wanted[inside], atol=1e-6)
    np.testing.assert_allclose(smoothed(np.ones((5, 1, 1)), 2.0), 1)
    assert smoothed(values, 0) is values


def test_smoothing_moves_no_straight_path_off_its_line() -> None:
    line = np.linspace((0, 1), (1, 0), 20)[:, None]
    found = smoothed(line, 3.0)
    np.testing.assert_allclose(found.sum(-1), 1)
    assert (np.diff(found[:, 0, 0]) > 0).all()


def test_too_few_checkpoints() -> None:
    found = planted(DRAWN_THEN_TURNED, KNOWN)
    with pytest.raises(ValueError, match="needs 9 of them, and there are 7: give more checkpoints"):
        replace(found, smooth=4.0).turning_points()
    short = planted(DRAWN_THEN_TURNED[:2], KNOWN[:2])
    with pytest.raises(ValueError, match="a turn needs three checkpoints, and there are 2"):
        short.turning_points()
    with pytest.raises(ValueError, match="2 competences for 7 checkpoints"):
        found.turning_points(competence=[1, 1])
    with pytest.raises(KeyError, match="no axis 'shape' in this concept space: there is size, colour"):
        found.turning_points(["shape"])
    with pytest.raises(ValueError, match="0 or more, got nan"):
        smoothed(np.ones((5, 1)), float("nan"))


def test_the_turn_is_marked() -> None:
    ax = planted(DRAWN_THEN_TURNED, KNOWN).plot()
    rings = ax.collections[-1].get_offsets()
    np.testing.assert_allclose(rings, [[0.9, 0.5]])
