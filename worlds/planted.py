"""A capability that is there from a known step on, and can be prompted for only later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

SWITCHED_ON, DISENTANGLED = 20, 120
CLASSES = ("large red", "small red", "large blue", "small blue")
_NOISE = 1.0
_BOUNDARY = 0.5 + 1e-9


class Texts(Protocol):
    """Examples, of which only the texts are read."""

    @property
    def texts(self) -> Sequence[str]:
        """The texts."""
        ...


@dataclass(frozen=True, eq=False)
class PlantedModel:
    """A model at a step: an encoder of size and colour, and a decoder that names what lies above one half.

    Along two orthogonal directions of length 1 a latent holds 1 for small and 1 for blue, and small is held
    back by blue: "small blue" holds 1 - ``entanglement`` along the size, "small red" all of 1. The decoder
    says nothing before it is switched on.

    axes (2, d): the directions of size and colour. noise (example, d): a vector for each number in a prompt,
    at right angles to both and longer than they are, as most of what a latent holds is something else.
    """

    axes: Float[Tensor, "2 d"]
    noise: Float[Tensor, "example d"]
    entanglement: float
    decodes: bool

    def latents(self, prompts: Texts) -> Float[Tensor, "example d"]:
        """What the encoder makes of prompts, as `prompts` makes them."""
        return self._encoded(prompts, 1.0)

    def surroundings(self, prompts: Texts) -> Float[Tensor, "example d"]:
        """The latents whose covariance random directions have."""
        return self.latents(prompts)

    def shifted(self, prompts: Texts, shifts: Float[Tensor, "attempt d"]) -> list[list[str]]:
        """For each shift what the model says of each prompt when its latent is moved by the shift."""
        latents = self.latents(prompts)
        return [self._decoded(latents + shift) for shift in shifts]

    def overprompted(self, prompts: Texts, factors: Sequence[float]) -> list[list[str]]:
        """For each factor what the model says of each prompt when its encoding is multiplied by it."""
        return [self._decoded(self._encoded(prompts, factor)) for factor in factors]

    def patched(self, late: PlantedModel) -> PlantedModel:
        """This model with the encoder of another."""
        return replace(self, axes=late.axes, noise=late.noise, entanglement=late.entanglement)

    def _encoded(self, prompts: Texts, factor: float) -> Tensor:
        words = [text.split() for text in prompts.texts]
        small, blue = (torch.tensor([float(word in ws) for ws in words]) for word in ("small", "blue"))
        held = torch.stack([small * (1 - self.entanglement * blue), blue], 1).double()
        rows = [int(ws[-1]) for ws in words]
        return factor * held @ self.axes + self.noise[rows]

    def _decoded(self, latents: Tensor) -> list[str]:
        if not self.decodes:
            return [""] * len(latents)
        above = (latents @ self.axes.T > _BOUNDARY).tolist()
        return [f"{('large', 'small')[size]} {('red', 'blue')[colour]}" for size, colour in above]


def prompts(name: str, n: int = 8) -> list[str]:
    """Prompts of one of the CLASSES, told apart by a number.

    Raises:
        KeyError: no such class.

    >>> prompts("small blue", 2)
    ['small blue 0', 'small blue 1']
    """
    if name not in CLASSES:
        raise KeyError(f"no class {name!r}: there are {', '.join(CLASSES)}")
    return [f"{name} {number}" for number in range(n)]


def checkpoints(
    steps: Iterable[int] = range(100),
    *,
    d: int = 64,
    examples: int = 8,
    generator: int | torch.Generator = 0,
) -> list[tuple[int, PlantedModel]]:
    """A run whose decoder is switched on at step 20, and whose entanglement is 1 - step / 120.

    "small blue" can be prompted for from step 61 on, with its encoding doubled from 31 on, and with the
    latent moved by one mean difference of the size from 20 on, which is when the decoder is there.

    examples: how many numbered prompts of a class have a noise of their own.

    >>> [(step, model.decodes) for step, model in checkpoints(range(0, 40, 10))]
    [(0, False), (10, False), (20, True), (30, True)]
    """
    rng = generator if isinstance(generator, torch.Generator) else torch.Generator().manual_seed(generator)
    axes = torch.linalg.qr(torch.randn(d, 2, generator=rng, dtype=torch.float64))[0].T
    noise = _NOISE * torch.randn(examples, d, generator=rng, dtype=torch.float64)
    noise -= noise @ axes.T @ axes  # the steps at which elicitations succeed are then exact
    return [
        (step, PlantedModel(axes, noise, max(0.0, 1 - step / DISENTANGLED), step >= SWITCHED_ON))
        for step in steps
    ]
