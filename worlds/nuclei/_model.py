"""The network that learns nuclides' energies from nothing but their two numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from conceptscope.worlds._residual_mlp import ResidualMLP, embedding


class NuclearModel(nn.Module):
    """Embeddings of protons, neutrons and the task, a residual MLP, and a readout column for each task.

    Its outputs are in MeV: ``centre`` and ``spread`` are those of the tasks' energies in training.
    ``tables`` holds the embeddings by the names "z", "n" and "task".
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        n_protons: int,
        n_neutrons: int,
        tasks: Sequence[str],
        *,
        width: int,
        depth: int,
        spread: float,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        sizes = {"z": n_protons, "n": n_neutrons, "task": len(self.tasks)}
        self.tables = nn.ModuleDict(
            {name: embedding(size, width, spread, rng) for name, size in sizes.items()}
        )
        self.mlp = ResidualMLP(3 * width, width, depth, len(self.tasks), rng)
        self.register_buffer("centre", torch.zeros(len(self.tasks)))
        self.register_buffer("spread", torch.ones(len(self.tasks)))

    def embedding(self, name: str) -> Float[Tensor, "number d"]:
        """A table, "z", "n" or "task"; row z is that of z protons.

        Raises:
            KeyError: another name.
        """
        if name not in self.tables:
            raise KeyError(f"no embedding of {name!r}: there are {', '.join(self.tables)}")
        return self.tables[name].get_parameter("weight").detach()

    def from_embeddings(
        self,
        z: Float[Tensor, "example d"],
        n: Float[Tensor, "example d"],
        task: str = "binding",
    ) -> Float[Tensor, " example"]:
        """What a task's readout makes of embeddings, whatever they are of, in MeV.

        Raises:
            ValueError: a task that is not learned.
        """
        number = self.task_number(task)
        rows = self.embedding("task")[number].expand(len(z), -1)
        outputs: Tensor = self.mlp(torch.cat([z, n, rows], 1))
        return outputs[:, number] * self.spread[number] + self.centre[number]

    def hidden(
        self, z: Int64[Tensor, " nuclide"], n: Int64[Tensor, " nuclide"], task: str = "binding"
    ) -> Float[Tensor, "nuclide d"]:
        """What a task's readout is applied to.

        Raises:
            ValueError: a task that is not learned.
        """
        number = torch.full_like(z, self.task_number(task))
        return self.mlp.hidden(self._embedded(z, n, number))

    def readout(self, task: str = "binding") -> tuple[Float[Tensor, " d"], float]:
        """A task's readout in MeV: weights for the hidden state, and what is added.

        Raises:
            ValueError: a task that is not learned.
        """
        number = self.task_number(task)
        last, spread = self.mlp.readout, self.spread[number]
        weights: Tensor = (last.weight[number] * spread).detach()
        return weights, float((last.bias[number] * spread + self.centre[number]).detach())

    def forward(
        self, z: Int64[Tensor, " example"], n: Int64[Tensor, " example"], task: Int64[Tensor, " example"]
    ) -> Float[Tensor, " example"]:
        """Each example's own task, in units of the task's spread around its centre."""
        outputs: Tensor = self.mlp(self._embedded(z, n, task))
        return outputs.gather(1, task[:, None])[:, 0]

    def task_number(self, task: str) -> int:
        """Which row of the task table, and column of the readout, a task has.

        Raises:
            ValueError: a task that is not learned.
        """
        if task not in self.tasks:
            raise ValueError(f"this model has not learned {task!r}, but {', '.join(self.tasks)}")
        return self.tasks.index(task)

    def _embedded(
        self, z: Int64[Tensor, " example"], n: Int64[Tensor, " example"], task: Int64[Tensor, " example"]
    ) -> Float[Tensor, "example input"]:
        return torch.cat([self.tables["z"](z), self.tables["n"](n), self.tables["task"](task)], 1)
