"""Readouts taken apart, beside scikit-learn's PCA."""

import numpy as np
import pytest
import torch

from conceptscope.analyses import readout_contributions


def rows(n: int = 60, d: int = 8) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=rng) * torch.arange(d, 0, -1.0) + 3


def test_contributions_and_the_constant_add_up_to_the_output() -> None:
    hidden, weights = rows().double(), torch.linspace(-1, 2, 8).double()
    found = readout_contributions(hidden, weights, 0.5)
    torch.testing.assert_close(found.contributions.sum(1) + found.constant, hidden @ weights + 0.5)
    assert found.error[-1] == pytest.approx(0, abs=1e-12)
    assert list(found.error) == sorted(found.error, reverse=True)


def test_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    hidden, weights = rows(), torch.linspace(-1, 2, 8)
    theirs = PCA().fit(hidden.double().numpy())
    found = readout_contributions(hidden, weights)
    scores = theirs.transform(hidden.double().numpy()) * (theirs.components_ @ weights.double().numpy())
    np.testing.assert_allclose(found.contributions.numpy(), scores, atol=1e-9)
    np.testing.assert_allclose(found.variance, theirs.explained_variance_ratio_, rtol=1e-9)


def test_errors_are_those_of_a_readout_of_fewer_components() -> None:
    hidden, weights = rows().double(), torch.linspace(-1, 2, 8).double()
    truth = hidden[:, 0] ** 2
    found = readout_contributions(hidden, weights, 1.0, y=truth, components=5)
    for kept in range(5):
        along = found.directions[: kept + 1]
        restored = found.mean + (hidden - found.mean) @ along.T @ along
        output = restored @ weights + 1.0
        left = (output - hidden @ weights - 1.0).square().mean().sqrt()
        assert found.error[kept] == pytest.approx(float(left))
        assert found.error_to_truth[kept] == pytest.approx(float((output - truth).square().mean().sqrt()))


def test_a_component_of_little_variance_may_be_the_whole_output() -> None:
    rng = torch.Generator().manual_seed(0)
    hidden = torch.randn(500, 2, generator=rng) * torch.tensor([10.0, 0.1])
    frame = readout_contributions(hidden, torch.tensor([0.0, 1.0])).to_frame()
    assert frame["variance"][1] < 0.001
    assert frame["contribution"][1] > 10 * frame["contribution"][0]


def test_only_what_rows_span_has_components() -> None:
    assert readout_contributions(rows(4), torch.ones(8)).contributions.shape == (4, 3)


def test_what_contributions_show() -> None:
    found = readout_contributions(rows(), torch.ones(8), y=torch.zeros(60))
    assert repr(found).startswith("ReadoutContributions(8 components, 60 examples; the first holds ")
    assert len(found.plot().get_lines()) == 2
    assert list(found.to_frame()) == ["variance", "contribution", "error", "error_to_truth"]
    assert "8 components" in found._repr_html_()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": torch.ones(8)}, "hidden must be finite numbers"),
        ({"hidden": torch.full((3, 8), torch.nan)}, "hidden must be finite numbers"),
        ({"hidden": torch.ones(5, 8)}, "all hidden states are the same"),
        ({"weights": torch.ones(7)}, "there are 7 weights for hidden states of width 8"),
        ({"y": torch.ones(3)}, "there are 3 true values for 60 rows"),
        ({"components": 9}, "components must be None or a whole number from 1 to 8, got 9"),
        ({"components": True}, "components must be None or a whole number from 1 to 8, got True"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    given = {"hidden": rows(), "weights": torch.ones(8)} | change
    with pytest.raises(ValueError, match=message):
        readout_contributions(given.pop("hidden"), given.pop("weights"), **given)
