"""Images of circles, and a generator of them that is never shown a small blue one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conceptscope.worlds._shapes_drawing import PIXELS, Shapes
from conceptscope.worlds._shapes_generator import ShapesGenerator
from conceptscope.worlds.planted import Texts

SIZES, COLOURS = ("large", "small"), ("red", "blue")
TRAINED = (("large", "red"), ("small", "red"), ("large", "blue"))
NOTHING = "nothing clear"
_POSITIONS = {word: float(at) for words in (SIZES, COLOURS) for at, word in enumerate(words)}
_SPREAD = 0.1
"""The standard deviation of positions about those of their class."""
_KEPT = 0.95
"""The share of itself that the average of the weights keeps at a step; without it, sizes swing."""
_TIMES = torch.arange(8) / 8
_ROWS = 256

SUCCESS: Mapping[str, Callable[[str], bool]] = {
    "size": lambda text: "small" in text.split(),
    "colour": lambda text: "blue" in text.split(),
}
"""Whether a text has the size, and the colour, of what training leaves out, small blue circles."""


@dataclass(frozen=True)
class Preset:
    """How large a generator is, and how it is trained."""

    width: int
    d: int
    patch: int
    batch: int
    rate: float
    steps: int


PRESETS: Mapping[str, Preset] = {
    "small": Preset(width=16, d=64, patch=2, batch=32, rate=1e-3, steps=1000),
    "paper": Preset(width=64, d=256, patch=1, batch=128, rate=1e-3, steps=20_000),
}
"""small learns in a minute on one core. paper is about as large as the paper's, and wants a GPU."""


@dataclass(frozen=True, eq=False)
class ShapesModel:
    """A generator with the space of circles that it draws: what it says of a prompt is what it drew.

    Its latents are what scales and shifts the channels of all blocks: the sum of what the concepts' and the
    time's networks give, the mean over the times at which it draws. They are moved at all of these.
    """

    generator: ShapesGenerator
    shapes: Shapes

    def images(self, prompts: Texts, factor: float = 1.0) -> Float[Tensor, "example 3 y x"]:
        """What it draws of prompts as `prompts` makes them; those of one number begin with the same noise.

        factor: by which what it is told is moved away from the middle of concept space.
        """
        return self._drawn(self._told(prompts, factor), _noise(prompts))

    def positions(self, prompts: Texts) -> Float[Tensor, "example concept"]:
        """Where what it draws is: size and colour, 0 for large and red, 1 for small and blue.

        They may go beyond 0 and 1; where there is no circle, they are in the middle.
        """
        positions, clear = self.shapes.read(self.images(prompts))
        return torch.where(clear[:, None], positions, 0.5)

    def latents(self, prompts: Texts) -> Float[Tensor, "example d"]:
        """The latents, the means over time."""
        return self._latents(prompts).mean(0)

    def surroundings(self, prompts: Texts) -> Float[Tensor, "row d"]:
        """The latents at all times."""
        return self._latents(prompts).flatten(0, 1)

    def shifted(self, prompts: Texts, shifts: Float[Tensor, "attempt d"]) -> list[list[str]]:
        """For each shift what it draws of each prompt when its latents are moved by the shift."""
        told, noise, n = self._told(prompts), _noise(prompts), len(prompts.texts)
        said: list[str] = []
        for some in torch.split(shifts.float(), max(1, _ROWS // n)):
            copies = len(some)
            rows = some.repeat_interleave(n, 0)
            said += self._said(self._drawn(told.repeat(copies, 1), noise.repeat(copies, 1, 1, 1), rows))
        return [said[at : at + n] for at in range(0, len(said), n)]

    def overprompted(self, prompts: Texts, factors: Sequence[float]) -> list[list[str]]:
        """For each factor what it draws when it is told to go so far from the middle of concept space."""
        return [self._said(self.images(prompts, factor)) for factor in factors]

    def patched(self, late: ShapesModel) -> ShapesModel:
        """This model with the other's network of the concepts."""
        generator = copy.deepcopy(self.generator)
        generator.concepts = late.generator.concepts
        return replace(self, generator=generator)

    @torch.inference_mode()
    def _latents(self, prompts: Texts) -> Float[Tensor, "time example d"]:
        told = self._told(prompts).to(self._device)
        found = [self.generator.latents(told, torch.full_like(told[:, 0], time)) for time in _TIMES.tolist()]
        return torch.stack(found).cpu()

    def _told(self, prompts: Texts, factor: float = 1.0) -> Float[Tensor, "example 4"]:
        middle = self.shapes.told(torch.full((1, 2), 0.5))
        asked = self.shapes.told(torch.tensor([_position(text) for text in prompts.texts]))
        return middle + factor * (asked - middle)

    def _drawn(self, told: Tensor, noise: Tensor, shifts: Tensor | None = None) -> Tensor:
        shifts = None if shifts is None else shifts.to(self._device)
        return self.generator.draw(told.to(self._device), noise.to(self._device), _TIMES, shifts).cpu()

    def _said(self, images: Float[Tensor, "example 3 y x"]) -> list[str]:
        positions, clear = self.shapes.read(images)
        return [
            f"{SIZES[size]} {COLOURS[colour]}" if seen else NOTHING
            for (size, colour), seen in zip((positions > 0.5).int().tolist(), clear.tolist(), strict=True)
        ]

    @property
    def _device(self) -> torch.device:
        return next(self.generator.parameters()).device


def prompts(size: str, colour: str, n: int = 8) -> list[str]:
    """Prompts of a combination, told apart by the number of the noise that the drawing begins with.

    Raises:
        KeyError: another size or colour than those of SIZES and COLOURS.

    >>> prompts("small", "blue", 2)
    ['small blue 0', 'small blue 1']
    """
    found = [f"{size} {colour} {number}" for number in range(n)]
    _position(f"{size} {colour}")
    return found


def train(
    steps: int | None = None,
    *,
    shapes: Shapes = Shapes(),  # noqa: B008  frozen
    masked: tuple[float, float] = (0.0, 0.0),
    preset: str = "small",
    device: str = "cpu",
    at: Callable[[int, ShapesModel], object] = lambda *_: None,
    generator: int = 0,
) -> ShapesModel:
    """Train a generator on large red, small red and large blue circles, anywhere in the image.

    It is told the radius and the colour of each, which are scattered about those of its class. What draws has
    the running average of the weights, over some 20 steps.

    steps: by default the preset's.
    masked: the share of circles of which it is not told the size, and not told the colour, but the middle.
    preset: one of PRESETS. "paper" was never trained to its end: no GPU was at hand.
    at: called with the number of steps taken and the model, before each step and at the end.

    Raises:
        KeyError: an unknown preset.
        ValueError: a share outside [0, 1).

    Source: Park et al., arXiv 2406.19370, section 3; flow matching takes the place of the paper's diffusion.

    >>> _ = train(1, at=lambda step, model: print(step, model.shapes))
    0 Shapes(size=0.3, colour=0.3)
    1 Shapes(size=0.3, colour=0.3)
    """
    if preset not in PRESETS:
        raise KeyError(f"no preset {preset!r}: there are {' and '.join(PRESETS)}")
    if not all(0 <= share < 1 for share in masked):
        raise ValueError(f"masked shares must be from 0 on and below 1, got {masked}")
    chosen, rng = PRESETS[preset], torch.Generator().manual_seed(generator)
    learner = _untrained(chosen, generator).to(device)
    average = get_ema_multi_avg_fn(_KEPT)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(learner, multi_avg_fn=average)
    model = ShapesModel(cast(ShapesGenerator, averaged.module), shapes)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=chosen.rate)
    last = chosen.steps if steps is None else steps
    for step in range(last):
        at(step, model)
        batch = _batch(shapes, chosen.batch, torch.tensor(masked), rng)
        loss = learner.loss(*(part.to(device) for part in batch))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        averaged.update_parameters(learner)
    at(last, model)
    return model


def checkpoints(
    steps: Collection[int],
    *,
    shapes: Shapes = Shapes(),  # noqa: B008  frozen
    masked: tuple[float, float] = (0.0, 0.0),
    preset: str = "small",
    device: str = "cpu",
    generator: int = 0,
) -> list[tuple[int, ShapesModel]]:
    """The models after some numbers of steps of one training run, as `train` has it.

    Raises:
        ValueError: no steps.

    >>> [step for step, model in checkpoints([0, 1])]
    [0, 1]
    """
    if not steps:
        raise ValueError("no steps were given: name at least one")
    kept: list[tuple[int, ShapesModel]] = []

    def keep(step: int, model: ShapesModel) -> None:
        if step in steps:
            kept.append((step, replace(model, generator=copy.deepcopy(model.generator))))

    train(
        max(steps), shapes=shapes, masked=masked, preset=preset, device=device, at=keep, generator=generator
    )
    return kept


def _position(text: str) -> tuple[float, float]:
    words = text.split()
    for word, known in zip(words, (SIZES, COLOURS), strict=False):
        if word not in known:
            raise KeyError(f"no {word!r}: there are {' and '.join(known)}")
    return _POSITIONS[words[0]], _POSITIONS[words[1]]


def _noise(prompts: Texts) -> Float[Tensor, "example 3 y x"]:
    numbers = [int(text.split()[-1]) for text in prompts.texts]
    return torch.stack(
        [torch.randn(3, PIXELS, PIXELS, generator=torch.Generator().manual_seed(one)) for one in numbers]
    )


def _untrained(preset: Preset, seed: int) -> ShapesGenerator:
    with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator
        torch.manual_seed(seed)
        return ShapesGenerator(preset.width, preset.d, preset.patch)


def _batch(
    shapes: Shapes, n: int, masked: Float[Tensor, " concept"], rng: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images, what is told of them, times and noise."""
    classes = torch.tensor([_position(f"{size} {colour}") for size, colour in TRAINED])
    positions = classes[torch.randint(len(classes), (n,), generator=rng)]
    positions += _SPREAD * torch.randn(n, 2, generator=rng)
    radii = shapes.radii(positions)[:, None]
    centres = radii + (PIXELS - 2 * radii) * torch.rand(n, 2, generator=rng)
    unsaid = torch.rand(n, 2, generator=rng) < masked
    told = shapes.told(torch.where(unsaid, 0.5, positions))
    times = torch.rand(n, generator=rng)
    noise = torch.randn(n, 3, PIXELS, PIXELS, generator=rng)
    return shapes.draw(positions, centres), told, times, noise
