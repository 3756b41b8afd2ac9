"""The network of the worlds whose inputs are small whole numbers."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ResidualMLP(nn.Module):
    """From embeddings side by side to outputs: h = SiLU(W x), then h + ReLU(W2 ReLU(W1 h)), then a readout.

    Source: arXiv 2405.17425, section 3.
    """

    def __init__(self, n_inputs: int, width: int, depth: int, n_outputs: int, rng: torch.Generator) -> None:
        super().__init__()
        self.first = nn.Linear(n_inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
            for _ in range(depth)
        )
        self.readout = nn.Linear(width, n_outputs)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                _draw(layer, rng)

    def hidden(self, x: Float[Tensor, "example input"]) -> Float[Tensor, "example d"]:
        """What the readout is applied to."""
        h: Tensor = nn.functional.silu(self.first(x))
        for block in self.blocks:
            h = h + block(h)
        return h

    def forward(self, x: Float[Tensor, "example input"]) -> Float[Tensor, "example output"]:
        """The outputs."""
        found: Tensor = self.readout(self.hidden(x))
        return found


def embedding(n_rows: int, width: int, spread: float, rng: torch.Generator) -> nn.Embedding:
    """A table of normal numbers with that standard deviation."""
    return nn.Embedding(n_rows, width, _weight=spread * torch.randn(n_rows, width, generator=rng))


def _draw(layer: nn.Linear, rng: torch.Generator) -> None:
    reach = 1 / math.sqrt(layer.in_features)
    for weights in (layer.weight, layer.bias):
        nn.init.uniform_(weights, -reach, reach, generator=rng)
