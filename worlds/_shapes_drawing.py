"""Circles that differ in size and colour, as they are drawn and as they are read off an image again."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

PIXELS, RADIUS = 32, 7.0
UNCLEAR = 0.25
"""The share of an image's squares that the circle nearest to it may leave unexplained."""


@dataclass(frozen=True)
class Shapes:
    """A concept space of circles: how far apart its sizes and its colours are.

    A position in it is (size, colour), from 0 for large and red to 1 for small and blue. The radius goes from
    7 (1 + size) pixels to 7 (1 - size), and the blue share of the circle's light from (1 - colour) / 2 to
    (1 + colour) / 2; the rest of the light is red, and what is around the circle is black.

    Raises:
        ValueError: a separation that is not above 0, a size above .5, or a colour above 1.
    """

    size: float = 0.3
    colour: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.size <= 0.5 and 0 < self.colour <= 1):
            raise ValueError(
                f"separations must be above 0, that of sizes at most .5 and that of colours at most 1, got "
                f"{self.size} and {self.colour}"
            )

    def radii(self, positions: Float[Tensor, "example concept"]) -> Float[Tensor, " example"]:
        """In pixels."""
        return RADIUS * (1 + self.size * (1 - 2 * positions[:, 0]))

    def told(self, positions: Float[Tensor, "example concept"]) -> Float[Tensor, "example 4"]:
        """What a generator is told of a circle: its radius, as a share of half the image, and its colour."""
        blue = 0.5 + self.colour * (positions[:, 1] - 0.5)
        return torch.stack([2 * self.radii(positions) / PIXELS, 1 - blue, 0 * blue, blue], 1)

    def draw(
        self, positions: Float[Tensor, "example concept"], centres: Float[Tensor, "example 2"] | None = None
    ) -> Float[Tensor, "example 3 y x"]:
        """The images: red, green and blue from 0 to 1, with a soft edge of one pixel.

        centres: (x, y) in pixels, by default the images' middle.

        >>> Shapes(0.3, 0.5).draw(torch.tensor([[0.0, 1.0]]))[0, :, 16, 16]
        tensor([0.2500, 0.0000, 0.7500])
        """
        if centres is None:
            centres = torch.full_like(positions[:, :2], PIXELS / 2)
        grid = torch.arange(PIXELS).to(positions) + 0.5
        across, down = grid - centres[:, :1], grid - centres[:, 1:]
        distance = torch.hypot(down[:, :, None], across[:, None, :])
        cover = (self.radii(positions)[:, None, None] - distance + 0.5).clamp(0, 1)
        return self.told(positions)[:, 1:, None, None] * cover[:, None]

    def read(
        self, images: Float[Tensor, "example 3 y x"]
    ) -> tuple[Float[Tensor, "example concept"], Bool[Tensor, " example"]]:
        """The positions in concept space, and whether there is a circle at all.

        The circle is what has more than half the light that circles have: its radius is that of the area,
        its colour the share of blue. There is one if what `draw` makes of these explains the image.
        """
        light = images[:, 0] + images[:, 2]
        inside = (light > 0.5).to(images)
        area = inside.sum((1, 2)).clamp(min=1)
        radius = (area / math.pi).sqrt()
        blue = (images[:, 2] * inside).sum((1, 2)) / (light * inside).sum((1, 2)).clamp(min=0.5)
        positions = torch.stack(
            [0.5 - (radius / RADIUS - 1) / (2 * self.size), 0.5 + (blue - 0.5) / self.colour], 1
        )
        grid = torch.arange(PIXELS).to(images) + 0.5
        centres = torch.stack([(inside * grid).sum((1, 2)), (inside * grid[:, None]).sum((1, 2))], 1)
        ideal = self.draw(positions, centres / area[:, None])
        missed = (images - ideal).square().sum((1, 2, 3))
        return positions, missed < UNCLEAR * ideal.square().sum((1, 2, 3))
