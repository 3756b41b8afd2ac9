import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from conceptscope.worlds import linear_net

SIGNALS = torch.tensor([0.25, 0.5, 1.0, 2.0], dtype=torch.float64)


def test_learning_times_are_those_of_gradient_descent_within_one_per_cent() -> None:
    law = linear_net.learning_times(SIGNALS)
    np.testing.assert_allclose(law, [1380.7, 759.9, 414.7, 224.7], atol=0.06)
    run = linear_net.train(SIGNALS, 1500)
    np.testing.assert_allclose([float(t or 0) for t in run.learning_times()], law, rtol=0.01)


def test_strengths_solve_the_differential_equation() -> None:
    def flow(_: float, weights: np.ndarray) -> np.ndarray:
        a, b = weights.reshape(2, -1)
        error = SIGNALS.numpy() - a * b
        return np.concatenate([b * error, a * error])

    steps = np.linspace(0, 1500, 40)
    begin = np.full(8, linear_net.START**0.5)
    solved = solve_ivp(flow, (0, 15), begin, t_eval=steps * linear_net.RATE, rtol=1e-9, atol=1e-12).y
    expected = linear_net.strengths(SIGNALS, torch.from_numpy(steps))
    np.testing.assert_allclose((solved[:4] * solved[4:]).T, expected, rtol=1e-5)


def test_learning_times_are_where_the_strengths_reach_the_fraction() -> None:
    for fraction in (0.1, 0.8, 0.99):
        times = linear_net.learning_times(SIGNALS, fraction=fraction, start=0.01, learning_rate=0.02)
        reached = linear_net.strengths(SIGNALS, times, start=0.01, learning_rate=0.02).diagonal()
        torch.testing.assert_close(reached, fraction * SIGNALS)


def test_from_a_random_start_speed_is_proportional_to_the_signal() -> None:
    runs = [linear_net.train(SIGNALS, 2500, aligned=False, generator=seed) for seed in range(3)]
    times = np.mean([run.learning_times() for run in runs], axis=0)
    slope = np.polyfit(np.log(SIGNALS), np.log(times), 1)[0]
    assert -1 < slope < -0.8
    assert np.corrcoef(1 / times, SIGNALS)[0, 1] > 0.99


def test_the_generator_decides_and_a_concept_may_never_be_learned() -> None:
    one, same, other = (linear_net.train(SIGNALS, 300, aligned=False, generator=g) for g in (0, 0, 1))
    assert torch.equal(one.strengths, same.strengths)
    assert not torch.equal(one.strengths, other.strengths)
    assert one.learning_times()[0] is None


def test_refuses() -> None:
    with pytest.raises(ValueError, match="fraction must be between 0 and 1, got 1"):
        linear_net.learning_times(SIGNALS, fraction=1)
    with pytest.raises(ValueError, match=r"signals must be above start=0\.5"):
        linear_net.learning_times(SIGNALS, start=0.5)
    with pytest.raises(ValueError, match="signals and start must be positive"):
        linear_net.train(-SIGNALS, 3)
