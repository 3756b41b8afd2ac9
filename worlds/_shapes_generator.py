"""A small generator of images, told what to draw: flow matching, with convolutions at three scales."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

_FREQUENCIES = 8


class ShapesGenerator(nn.Module):
    """Turns noise into an image, step by step, by guessing the image that the noise hides.

    What it is told goes through a network of two layers, and so does the time; the sum of the two is the
    latent by which every block scales and shifts its channels.

    width: channels at the finest scale. d: of the latent. patch: pixels, across and down, that are one
    position at the finest scale.
    """

    def __init__(self, width: int, d: int, patch: int) -> None:
        super().__init__()
        pixels = 3 * patch**2
        self.concepts = _two_layers(4, d)
        self.time = _two_layers(2 * _FREQUENCIES, d)
        self.unshuffle, self.shuffle = nn.PixelUnshuffle(patch), nn.PixelShuffle(patch)
        self.first = nn.Conv2d(pixels, width, 3, padding=1)
        self.last = nn.Conv2d(width, pixels, 3, padding=1)
        self.fine, self.fine_again = _Block(width, d), _Block(width, d)
        self.middle, self.middle_again = _Block(2 * width, d), _Block(2 * width, d)
        self.coarse = _Block(2 * width, d)
        self.down = nn.ModuleList([nn.Conv2d(n * width, 2 * width, 2, stride=2) for n in (1, 2)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * width, n * width, 2, stride=2) for n in (1, 2)])

    def latents(
        self, told: Float[Tensor, "example 4"], times: Float[Tensor, " example"]
    ) -> Float[Tensor, "example d"]:
        """The latent of what it is told, at times from 0 (noise) to 1 (image)."""
        rates = torch.logspace(0, math.log10(50), _FREQUENCIES).to(times)
        angles = times[:, None] * rates
        found: Tensor = self.concepts(told) + self.time(torch.cat([angles.sin(), angles.cos()], 1))
        return found

    def forward(
        self, x: Float[Tensor, "example 3 y x"], latents: Float[Tensor, "example d"]
    ) -> Float[Tensor, "example 3 y x"]:
        """The images that are guessed behind x."""
        latents = nn.functional.silu(latents)
        fine = self.fine(self.first(self.unshuffle(x)), latents)
        middle = self.middle(self.down[0](fine), latents)
        coarse = self.coarse(self.down[1](middle), latents)
        middle = self.middle_again(middle + self.up[1](coarse), latents)
        fine = self.fine_again(fine + self.up[0](middle), latents)
        found: Tensor = self.shuffle(self.last(nn.functional.silu(fine)))
        return found

    def loss(
        self,
        images: Float[Tensor, "example 3 y x"],
        told: Float[Tensor, "example 4"],
        times: Float[Tensor, " example"],
        noise: Float[Tensor, "example 3 y x"],
    ) -> Float[Tensor, ""]:
        """The mean square error of the guess, where images and noise are mixed by the times."""
        share = times[:, None, None, None]
        guess = self(share * images + (1 - share) * noise, self.latents(told, times))
        return nn.functional.mse_loss(guess, images)

    @torch.inference_mode()
    def draw(
        self,
        told: Float[Tensor, "example 4"],
        noise: Float[Tensor, "example 3 y x"],
        times: Float[Tensor, " time"],
        shifts: Float[Tensor, "example d"] | None = None,
    ) -> Float[Tensor, "example 3 y x"]:
        """The images made of noise by Euler's method, in a step from each of the times.

        shifts: by how much the latents are moved, at all times.

        Source: Lipman et al., arXiv 2210.02747 (flow matching along straight lines); the guess of the image
        gives the velocity (guess - x) / (1 - time).
        """
        x = noise
        for time, end in zip(times.tolist(), [*times[1:].tolist(), 1.0], strict=True):
            latents = self.latents(told, torch.full_like(told[:, 0], time))
            guess = self(x, latents if shifts is None else latents + shifts)
            x = x + (end - time) / (1 - time) * (guess - x)
        return x


class _Block(nn.Module):
    """Two convolutions beside the way around them; the latent scales and shifts what is between them."""

    def __init__(self, channels: int, d: int) -> None:
        super().__init__()
        self.before = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(4, channels)
        self.modulation = nn.Linear(d, 2 * channels)
        self.after = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self, x: Float[Tensor, "example channel y x"], latents: Float[Tensor, "example d"]
    ) -> Float[Tensor, "example channel y x"]:
        scale, shift = self.modulation(latents)[:, :, None, None].chunk(2, 1)
        between = self.norm(self.before(nn.functional.silu(x))) * (1 + scale) + shift
        found: Tensor = x + self.after(nn.functional.silu(between))
        return found


def _two_layers(inputs: int, d: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, d), nn.SiLU(), nn.Linear(d, d))
