from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Lasso

from conceptscope.analyses._fourier_fit import _Problem, fit_fourier
from conceptscope.analyses._fourier_screening import characters, signs


def drawn(n, n_masks, seed=0):
    return torch.rand(n_masks, n, generator=torch.Generator().manual_seed(seed)) < 0.5


def noise(n_masks, seed=1):
    return torch.randn(n_masks, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_planted_terms_are_fitted_exactly():
    masks = drawn(40, 800)
    terms = {(): 3.0, (2,): -1.0, (7,): 2.0, (2, 7): 0.5, (2, 7, 30): 0.25}
    values = characters(signs(masks), list(terms)) @ torch.tensor(list(terms.values()), dtype=torch.float64)
    found = fit_fourier(masks, values, 200)
    assert dict(zip(found.supports, found.coefficients.tolist(), strict=True)) == pytest.approx(terms)
    torch.testing.assert_close(found.values(masks), values)


def test_of_noise_alone_little_is_kept():
    masks = drawn(40, 800)
    assert fit_fourier(masks, noise(800), 200).values(drawn(40, 500, seed=2)).var() < 0.15


def test_the_lasso_is_scikit_learns():
    players = signs(drawn(10, 400))
    values = players[:, 0] + 0.5 * players[:, 1] * players[:, 2] + 0.3 * noise(400)
    problem = _Problem(players, values)
    columns = (characters(players, problem._supports) - problem._centre) * problem._scale
    true = Lasso(alpha=0.005, tol=1e-10, max_iter=100_000).fit(columns.numpy(), values.numpy())
    found = problem._lasso(0.005, torch.zeros_like(problem._target), 5000)
    torch.testing.assert_close(found, torch.from_numpy(true.coef_), atol=1e-6, rtol=1e-6)
    assert (found == 0).any()


def test_selecting_masks_choose_shrinkage_where_there_is_noise():
    masks = drawn(20, 600)
    values = signs(masks)[:, :5].sum(1) + 2 * noise(600)
    found = fit_fourier(masks, values, 150)
    other = drawn(20, 2000, seed=4)
    true = signs(other)[:, :5].sum(1)
    assert (found.values(other) - true).square().mean() < 0.1 * true.var()
