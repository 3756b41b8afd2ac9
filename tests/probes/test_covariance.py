import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage, shrunk_covariance

from conceptscope.probes._covariance import Scatter, ledoit_wolf, whiten


def centred_rows(n: int, d: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(n)
    x = torch.randn(n, d, generator=rng, dtype=torch.float64) * torch.linspace(1, 5, d)
    return x - x.mean(0)


@pytest.mark.parametrize(("n", "d"), [(50, 8), (8, 50), (20, 20), (40, 1)])
def test_whitens_by_the_inverse_that_scikit_learn_s_covariance_has(n: int, d: int) -> None:
    rows, vectors = centred_rows(n, d), torch.randn(3, d, generator=torch.Generator().manual_seed(1)).double()
    scatter = Scatter.of(rows)
    share = ledoit_wolf(scatter, n)
    assert share == pytest.approx(ledoit_wolf_shrinkage(rows.numpy(), assume_centered=True)) or d == 1
    for shrinkage in (share or 0.5, 1e-3, 1.0):
        covariance = shrunk_covariance(rows.T.numpy() @ rows.numpy() / n, shrinkage)
        expected = np.linalg.solve(covariance, vectors.T.numpy()).T
        np.testing.assert_allclose(whiten(vectors, scatter, shrinkage), expected, rtol=1e-7, atol=1e-9)


def test_errs_little_more_than_the_best_shrinkage_after_many_means_were_taken_away() -> None:
    rng = np.random.default_rng(0)
    n, d, classes = 100, 20, 50
    codes, deviations = np.arange(n) % classes, np.linspace(1, 3, d)
    identity, truth = np.eye(d), np.diag(deviations**2)
    ours, plain, best = [], [], []
    for _ in range(20):
        x = rng.normal(size=(n, d)) * deviations
        centred = x - np.stack([x[codes == code].mean(0) for code in codes])
        estimate = centred.T @ centred / (n - classes)
        away = estimate - np.trace(estimate) / d * identity

        def error(share: float, estimate: np.ndarray = estimate, away: np.ndarray = away) -> float:
            return float(((estimate - share * away - truth) ** 2).sum())

        rows = torch.from_numpy(centred)
        ours.append(error(ledoit_wolf(Scatter.of(rows), n - classes)))
        plain.append(error(ledoit_wolf_shrinkage(centred, assume_centered=True)))
        best.append(error((away * (estimate - truth)).sum() / (away**2).sum()))
    assert np.mean(ours) < 1.1 * np.mean(best)
    assert np.mean(plain) > 1.2 * np.mean(best)


@pytest.mark.parametrize(("n", "d"), [(6, 5), (6, 6), (6, 9)])
def test_refuses_the_inverse_of_what_is_singular(n: int, d: int) -> None:
    rows = centred_rows(n, d)
    rows[:, 0] = 0
    with pytest.raises(
        ValueError, match=r"cannot be inverted with a shrinkage of 0: give more examples than"
    ):
        whiten(rows, Scatter.of(rows), 0)
