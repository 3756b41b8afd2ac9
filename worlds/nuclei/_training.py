"""Training the nuclear model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from conceptscope.worlds.nuclei._model import NuclearModel
from conceptscope.worlds.nuclei._nuclides import TASKS, Nuclides


@dataclass(frozen=True)
class Recipe:
    """How large the model is, and how it is trained: AdamW, its rate falling to 0 along a cosine.

    batch: examples, each a nuclide and a task; with several tasks, ``steps`` are shared among them.
    spread: the standard deviation of untrained embeddings; the smaller, the fewer directions are used.
    """

    width: int = 128
    depth: int = 2
    steps: int = 7000
    batch: int = 512
    rate: float = 1e-2
    decay: float = 0.1
    spread: float = 0.05


PAPER = Recipe(width=2048, depth=2, steps=1_000_000, rate=1e-4, decay=0.01, spread=0.013)
"""The size of the paper's models, for a GPU and hours; there the rate was constant."""


@dataclass(frozen=True, eq=False)
class NuclearRun:
    """A trained model, the nuclides, and which of these it was trained on."""

    model: NuclearModel
    data: Nuclides
    trained: Bool[Tensor, " nuclide"]

    def predictions(self, task: str = "binding") -> Float64[Tensor, " nuclide"]:
        """A task's energies of all nuclides as the model has them, in MeV.

        Raises:
            ValueError: a task that it has not learned.
        """
        weights, constant = self.model.readout(task)
        with torch.inference_mode():
            hidden = self.model.hidden(self.data.z, self.data.n, task)
        return hidden.double() @ weights.double() + constant

    def rms(self, task: str = "binding", *, held_out: bool = False) -> float:
        """The root mean square error in MeV, of the nuclides of training or of those held out.

        A nuclide with a number of protons or neutrons that training never saw is left out.

        Raises:
            ValueError: a task that it has not learned; none held out.
        """
        errors = self.predictions(task) - self.data.energies[task]
        known = torch.isin(self.data.z, self.embedding("z")[0]) & torch.isin(
            self.data.n, self.embedding("n")[0]
        )
        seen = errors[(self.trained ^ held_out) & known & errors.isfinite()]
        if not len(seen):
            raise ValueError("no nuclides were held out: train with held_out above 0")
        return float(seen.square().mean().sqrt())

    def embedding(self, name: str) -> tuple[Int64[Tensor, " number"], Tensor]:
        """The numbers of protons ("z") or neutrons ("n") that training saw, and their embeddings.

        Raises:
            KeyError: another name.
        """
        table = self.model.embedding(name)
        seen = {"z": self.data.z, "n": self.data.n}
        if name not in seen:
            raise KeyError(f"no numbers of {name!r}: there are {', '.join(seen)}")
        numbers = torch.unique(seen[name][self.trained])
        return numbers, table[numbers]


def train(
    data: Nuclides,
    tasks: Sequence[str] = ("binding",),
    recipe: Recipe | None = None,
    *,
    held_out: float = 0.1,
    shuffled: bool = False,
    device: str | torch.device = "cpu",
    generator: int = 0,
) -> NuclearRun:
    """Train a model on some tasks; by default on binding energies, in about a minute on one core.

    held_out: the share of nuclides that training does not see. shuffled: the energies change places among the
    nuclides, as a control. ``recipe`` is `Recipe()` by default; `PAPER` is the paper's.

    Raises:
        ValueError: no tasks, or one that is not among TASKS; a share outside [0, 1).

    >>> from conceptscope.worlds.nuclei import nuclides
    >>> known = nuclides()
    >>> run = train(known, recipe=Recipe(width=16, steps=5))
    >>> len(run.data), int(run.trained.sum()) == round(0.9 * len(known))
    (2388, True)
    """
    _check(tasks, held_out)
    recipe = Recipe() if recipe is None else recipe
    rng = torch.Generator().manual_seed(generator)
    order = torch.randperm(len(data), generator=rng)
    trained = torch.ones(len(data), dtype=torch.bool)
    trained[order[: round(held_out * len(data))]] = False
    energies = torch.stack([data.energies[task] for task in tasks], 1)
    if shuffled:
        energies = energies[torch.randperm(len(data), generator=rng)]
    model = NuclearModel(
        int(data.z.max()) + 1,
        int(data.n.max()) + 1,
        tasks,
        width=recipe.width,
        depth=recipe.depth,
        spread=recipe.spread,
        rng=rng,
    )
    _scale(model, energies[trained])
    known = (energies.isfinite() & trained[:, None]).nonzero()
    _fit(model.to(device), data, energies, known, recipe, rng)
    return NuclearRun(model.cpu().eval(), data, trained)


def _check(tasks: Sequence[str], held_out: float) -> None:
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise ValueError(f"tasks must be some of {', '.join(TASKS)}; got {list(tasks)}")
    if not 0 <= held_out < 1:
        raise ValueError(f"held_out must be a share from 0 on and below 1, got {held_out!r}")


def _scale(model: NuclearModel, energies: Float64[Tensor, "nuclide task"]) -> None:
    for number, column in enumerate(energies.T):
        known = column[column.isfinite()]
        model.centre[number], model.spread[number] = known.mean(), known.std()


def _fit(
    model: NuclearModel,
    data: Nuclides,
    energies: Float64[Tensor, "nuclide task"],
    known: Int64[Tensor, "example 2"],
    recipe: Recipe,
    rng: torch.Generator,
) -> None:
    device = model.centre.device
    row, task = known.T
    wanted = energies[row, task].float().to(device)
    z, n, task = (numbers.to(device) for numbers in (data.z[row], data.n[row], task))
    wanted = (wanted - model.centre[task]) / model.spread[task]
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    for chosen in _batches(len(row), recipe, rng):
        at = chosen.to(device)
        loss = nn.functional.mse_loss(model(z[at], n[at], task[at]), wanted[at])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _batches(n_examples: int, recipe: Recipe, rng: torch.Generator) -> Iterator[Int64[Tensor, " example"]]:
    """As many batches as there are steps, each example once before any comes again."""
    size = min(recipe.batch, n_examples)
    left = torch.empty(0, dtype=torch.int64)
    for _ in range(recipe.steps):
        if len(left) < size:
            left = torch.cat([left, torch.randperm(n_examples, generator=rng)])
        yield left[:size]
        left = left[size:]
