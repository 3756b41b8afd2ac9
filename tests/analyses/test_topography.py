"""Maps of functions that are known, of a network's part, and of a language model."""

import numpy as np
import pytest
import torch

from conceptscope.analyses import LogOdds, latent_topography, rest_of_model, target_at, topography_along
from conceptscope.hooks import capture, load_model

MEAN = torch.tensor([1.0, -1.0, 2.0])
ALONG = torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])


def quadratic(x: torch.Tensor) -> torch.Tensor:
    return x[:, 0] * x[:, 1] + x[:, 2]


def test_a_map_holds_the_function_at_every_point_of_its_grid() -> None:
    found = latent_topography(quadratic, MEAN, ALONG, grid=7, margin=0.25, batch_size=10)
    for a, x in enumerate(found.axes[0]):
        for b, y in enumerate(found.axes[1]):
            point = MEAN + x * ALONG[0] + y * ALONG[1]
            assert found.values[a, b] == pytest.approx(float(quadratic(point[None])), abs=1e-5)
    for axis in found.axes:
        np.testing.assert_allclose(axis, np.linspace(-1.5, 1.5, 7))


def test_the_grid_covers_the_data_and_its_margin() -> None:
    coordinates = torch.tensor([[0.0, 1.0], [4.0, 3.0], [2.0, 2.0]])
    data = MEAN + coordinates @ ALONG
    found = latent_topography(quadratic, MEAN, ALONG, data=data, grid=5, margin=0.5)
    np.testing.assert_allclose(found.data.coordinates, coordinates, atol=1e-6)
    np.testing.assert_allclose([axis[[0, -1]] for axis in found.axes], [[-2, 6], [0, 4]], atol=1e-6)
    assert found.agreement == pytest.approx(1)


def test_agreement_is_what_is_left_when_the_data_are_projected() -> None:
    rng = torch.Generator().manual_seed(0)
    data = torch.randn(400, 3, generator=rng)
    mean, along = data.mean(0), torch.eye(3)[:2]
    flat = torch.cat([data[:, :2], mean[2].expand(400, 1)], 1)
    found = latent_topography(quadratic, mean, along, data=data, grid=3)
    expected = 1 - (quadratic(data) - quadratic(flat)).square().sum() / (
        400 * quadratic(data).var(correction=0)
    )
    assert found.agreement == pytest.approx(float(expected), abs=1e-5)
    assert latent_topography(quadratic, mean, torch.eye(3), data=data, grid=3).agreement == pytest.approx(1)
    classes = latent_topography(lambda x: (quadratic(x) > 0).int(), mean, along, data=data, grid=3)
    same = ((quadratic(data) > 0) == (quadratic(flat) > 0)).float().mean()
    assert classes.agreement == pytest.approx(float(same))
    assert classes.labels == (0, 1)


def test_a_slice_of_a_map_is_the_map_of_a_shifted_mean() -> None:
    whole = latent_topography(quadratic, MEAN, torch.eye(3), grid=5)
    cut = whole.slice({1: 0.9})
    level = whole.axes[1][4 - 1]
    assert level == pytest.approx(1.0)
    shifted = MEAN + level * torch.eye(3)[1]
    direct = latent_topography(quadratic, shifted, torch.eye(3)[[0, 2]], grid=5)
    np.testing.assert_allclose(cut.values, direct.values, atol=1e-5)


def test_directions_may_be_long_and_askew() -> None:
    data = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    turn = torch.tensor([[2.0, 1.0], [-1.0, 3.0]])
    plain = latent_topography(quadratic, MEAN, ALONG, data=data, grid=3)
    turned = latent_topography(quadratic, MEAN, turn @ ALONG, data=data, grid=3)
    np.testing.assert_allclose(turned.data.projected, plain.data.projected, atol=1e-4)


def test_labels_of_any_kind_are_classes() -> None:
    names = lambda x: ["high" if value > 0 else "low" for value in x[:, 0]]  # noqa: E731
    found = latent_topography(names, torch.zeros(2), torch.eye(2), data=torch.eye(2), grid=4)
    assert found.labels == ("high", "low")
    assert found.values[:, 0].tolist() == [1, 0, 0, 0]
    assert set(found.to_frame()["value"]) == {"high", "low"}


def test_rows_keep_the_dtype_of_the_mean() -> None:
    seen = []
    latent_topography(
        lambda x: (seen.append(x.dtype), x.sum(1).float())[1], MEAN.bfloat16(), torch.eye(3), grid=2
    )
    assert seen == [torch.bfloat16]


def test_a_language_models_target_over_a_plane_is_that_of_patched_passes() -> None:
    model = load_model("tinyworld")
    texts = [f"the {word}" for word in ("dog", "dogs", "cat", "cats", "car", "cars")]
    rows = capture(model, texts, "resid_post.2")["resid_post.2"]
    function = target_at(model, "resid_post.2", "the onion", LogOdds("was"))
    directions = torch.linalg.svd(rows - rows.mean(0), full_matrices=False).Vh[:5]
    found = latent_topography(function, rows.mean(0), directions[:2], data=rows, grid=4)
    full = latent_topography(function, rows.mean(0), directions, data=rows, grid=2)
    from conceptscope.hooks import next_token_logits

    logits = next_token_logits(model, texts).double()
    at = model.tokenizer.convert_tokens_to_ids("was")
    expected = torch.logit(logits.softmax(1)[:, at])
    np.testing.assert_allclose(found.data.values, expected, atol=1e-3)
    assert full.agreement == pytest.approx(1, abs=1e-4)
    assert found.agreement < full.agreement
    said = rest_of_model(model, "resid_post.2", "the onion", {"one": "was", "many": "were"})
    classes = latent_topography(said, rows.mean(0), directions[:2], data=rows, grid=3)
    assert classes.labels == ("many", "one")


def test_along_a_curve_are_the_functions_values() -> None:
    angles = torch.linspace(0, torch.pi, 30)
    curve = torch.stack([angles.cos(), angles.sin(), angles], 1)
    found = topography_along(quadratic, curve, at=angles, batch_size=7)
    np.testing.assert_allclose(found.values, quadratic(curve), atol=1e-6)
    assert topography_along(quadratic, curve).at[-1] == pytest.approx(np.pi * 2**0.5, rel=1e-3)
    assert repr(found) == "CurveTopography(30 points from 0 to 3.14, numbers)"
    assert found.plot().get_ylabel() == "output"
    signs = topography_along(lambda x: (x[:, 0] > 0).tolist(), curve)
    assert signs.labels == (False, True)
    assert [text.get_text() for text in signs.plot().get_yticklabels()] == ["False", "True"]
    assert "30 points" in signs._repr_html_()


@pytest.mark.parametrize("n_directions", [2, 3])
def test_what_maps_show(n_directions: int) -> None:
    data = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    found = latent_topography(quadratic, MEAN, torch.eye(3)[:n_directions], data=data, grid=4)
    size = " x ".join("4" * n_directions)
    assert repr(found).startswith(f"Topography({size} points, numbers; 6 rows, agreement ")
    ax = found.plot()
    assert ax.collections[0].get_array().size == 16
    assert len(ax.collections[1].get_offsets()) == 6
    assert len(found.to_frame()) == 4**n_directions
    assert "x0" in found._repr_html_()


def test_classes_have_their_names_beside_the_map() -> None:
    found = latent_topography(
        lambda x: ["a" if v else "b" for v in x[:, 0] > 0], MEAN, torch.eye(3)[:2], grid=3
    )
    bar = found.plot().figure.axes[-1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directions": torch.eye(3)[:1]}, "a map needs two directions, got 1: topography_along follows one"),
        ({"directions": torch.eye(2)}, r"shapes are \(3,\) and \(2, 2\)"),
        ({"directions": torch.ones(2, 3)}, "the directions depend on one another"),
        ({"directions": torch.zeros(2, 3)}, "the directions depend on one another"),
        ({"mean": torch.full((3,), torch.nan)}, "the mean and the directions must be finite"),
        ({"data": torch.ones(4, 2)}, r"data must be rows of width 3, as the mean; the shape is \(4, 2\)"),
        ({"data": torch.full((1, 3), torch.inf)}, "data must be finite numbers"),
        ({"grid": 1}, "grid must be a whole number of points a direction, 2 or more; got 1"),
        (
            {"directions": torch.eye(3), "grid": 200},
            "8,000,000, and 2,000,000 can be computed: take grid=125 or",
        ),
        ({"margin": -0.1}, "margin must be 0 or more"),
        ({"margin": float("nan")}, "margin must be 0 or more"),
        ({"function": lambda x: x}, r"a label for each of 9 rows; it gave float32 of shape \(9, 3\)"),
        ({"function": lambda x: [None] * len(x)}, "it gave object of shape"),
        ({"function": lambda x: x[:, 0] / 0}, "numbers that are not finite"),
    ],
)
def test_refusals(change: dict, message: str) -> None:
    given = {"function": quadratic, "mean": MEAN, "directions": ALONG, "grid": 3} | change
    with pytest.raises(ValueError, match=message):
        latent_topography(given.pop("function"), given.pop("mean"), given.pop("directions"), **given)


def test_what_a_slice_and_a_curve_refuse() -> None:
    found = latent_topography(quadratic, MEAN, ALONG, grid=3)
    with pytest.raises(KeyError, match="no direction 2: there are 0 to 1"):
        found.slice({2: 0.0})
    with pytest.raises(ValueError, match="a map needs two directions, and 1 would be left"):
        found.slice({1: 0.0})
    with pytest.raises(ValueError, match="a curve has two points or more, got 1"):
        topography_along(quadratic, MEAN[None])
    with pytest.raises(ValueError, match="there are 3 places for 2 points"):
        topography_along(quadratic, ALONG, at=[1, 2, 3])
