import math

import pytest
import torch

from conceptscope.worlds._shapes_drawing import PIXELS, Shapes

CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])


def covered(radius: float, x: float, y: float, fine: int = 16) -> torch.Tensor:
    """The share of each pixel inside a circle, by counting points of a finer grid."""
    points = (torch.arange(PIXELS * fine, dtype=torch.float64) + 0.5) / fine
    inside = (points[None] - x) ** 2 + (points[:, None] - y) ** 2 < radius**2
    return inside.double().view(PIXELS, fine, PIXELS, fine).mean((1, 3))


def test_a_drawing_is_what_counting_points_gives() -> None:
    shapes = Shapes(0.25, 0.6)
    centres = torch.tensor([[10.0, 12.5], [16.2, 15.9], [20.0, 11.0], [14.4, 16.0]])
    images = shapes.draw(CORNERS, centres)
    for image, (size, colour), centre in zip(images, CORNERS.tolist(), centres.tolist(), strict=True):
        cover = covered((8.75, 5.25)[int(size)], *centre)
        blue = (0.2, 0.8)[int(colour)]
        expected = torch.stack([(1 - blue) * cover, 0 * cover, blue * cover]).float()
        assert (image - expected).abs().max() < 0.1
        assert image.sum().item() == pytest.approx(expected.sum().item(), rel=0.01)


@pytest.mark.parametrize(("size", "colour"), [(0.1, 0.8), (0.4, 0.1), (0.3, 0.3)])
def test_what_was_drawn_is_read_again_wherever_it_is(size: float, colour: float) -> None:
    shapes, rng = Shapes(size, colour), torch.Generator().manual_seed(0)
    positions = torch.rand(200, 2, generator=rng)
    centres = 11 + 10 * torch.rand(200, 2, generator=rng)
    found, clear = shapes.read(shapes.draw(positions, centres))
    assert clear.all()
    assert (found[:, 1] - positions[:, 1]).abs().max() < 1e-4
    apart = (found[:, 0] - positions[:, 0]) * 14 * size
    assert apart.abs().max() < 0.2
    assert apart.mean().abs() < 0.02


def test_reading_stands_noise_and_says_where_there_is_no_circle() -> None:
    shapes, rng = Shapes(), torch.Generator().manual_seed(0)
    images = shapes.draw(CORNERS)
    noise = torch.randn(images.shape, generator=rng)
    found, clear = shapes.read(images + 0.05 * noise)
    assert clear.all()
    assert (found - CORNERS).abs().max() < 0.1
    square = torch.zeros(1, 3, PIXELS, PIXELS)
    square[:, 0, 4:28, 12:20] = square[:, 2, 4:28, 12:20] = 0.5
    for other in (0 * images, noise, images.roll(12, -1) + images.roll(-9, -1), square, 2 * images):
        positions, clear = shapes.read(other)
        assert not clear.any()
        assert positions.isfinite().all()


def test_derivatives_are_those_of_the_drawing() -> None:
    shapes = Shapes(0.3, 0.4)
    at = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    steps = torch.eye(2, dtype=torch.float64)[:, None]
    by_size, by_colour = (torch.func.jvp(shapes.draw, (at,), (one,))[1] for one in steps)
    cover = covered(shapes.radii(at).item(), PIXELS / 2, PIXELS / 2)
    assert by_colour.norm().item() == pytest.approx(0.4 * math.sqrt(2) * cover.norm().item(), rel=0.01)
    for found, step in zip((by_size, by_colour), 1e-6 * steps, strict=True):
        expected = (shapes.draw(at + step) - shapes.draw(at - step)) / 2e-6
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("apart", [(0.0, 0.3), (0.3, -0.1), (0.6, 0.3), (0.3, 1.1), (math.nan, 0.3)])
def test_refuses(apart: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="separations must be above 0, that of sizes"):
        Shapes(*apart)
