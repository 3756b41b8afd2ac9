"""Addition modulo a prime, learned by a small network that puts the numbers on circles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from conceptscope.worlds._residual_mlp import ResidualMLP, embedding

_RATE, _DECAY, _BETAS = 3e-3, 3.0, (0.9, 0.98)
_DEPTH = 1


class ModularModel(nn.Module):
    """One table of embeddings for both numbers, a residual MLP, and a score for each sum."""

    def __init__(self, p: int, width: int, spread: float, rng: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.table = embedding(p, width, spread, rng)
        self.mlp = ResidualMLP(2 * width, width, _DEPTH, p, rng)

    @property
    def embedding(self) -> Float[Tensor, "number d"]:
        """The embeddings of 0 to p - 1."""
        return self.table.weight.detach()

    def from_embeddings(
        self, a: Float[Tensor, "example d"], b: Float[Tensor, "example d"]
    ) -> Float[Tensor, "example sum"]:
        """The scores of the sums for two embeddings, whatever they are of."""
        scores: Tensor = self.mlp(torch.cat([a, b], 1))
        return scores

    def forward(
        self, a: Int64[Tensor, " example"], b: Int64[Tensor, " example"]
    ) -> Float[Tensor, "example sum"]:
        """The scores of the sums."""
        return self.from_embeddings(self.table(a), self.table(b))


@dataclass(frozen=True, eq=False)
class ModularRun:
    """A trained model, all pairs of numbers, and which of these it was trained on."""

    model: ModularModel
    a: Int64[Tensor, " pair"]
    b: Int64[Tensor, " pair"]
    trained: Bool[Tensor, " pair"]

    @property
    def sums(self) -> Int64[Tensor, " pair"]:
        """What is right."""
        return (self.a + self.b) % self.model.p

    @property
    def accuracy(self) -> float:
        """The share of the pairs held out that are added rightly."""
        right = self.answers() == self.sums
        return float(right[~self.trained].double().mean())

    def answers(
        self,
        first: Float[Tensor, "number d"] | None = None,
        second: Float[Tensor, "number d"] | None = None,
    ) -> Int64[Tensor, " pair"]:
        """The sums that the model gives all pairs, with other embeddings for either number where given."""
        own = self.model.embedding
        first, second = (own if table is None else table for table in (first, second))
        with torch.inference_mode():
            return self.model.from_embeddings(first[self.a], second[self.b]).argmax(1)


def train(
    p: int = 31,
    *,
    steps: int = 4000,
    width: int = 128,
    spread: float = 0.15,
    share: float = 0.9,
    generator: int = 0,
) -> ModularRun:
    """Train a model on most of the sums modulo p; by default in half a minute on a core.

    spread: the standard deviation of untrained embeddings: the smaller, the fewer circles are learned.
    share: of the pairs, which training sees.

    Raises:
        ValueError: p below 3, a share outside (0, 1), or another number that is not positive.

    >>> run = train(5, steps=2, width=8)
    >>> len(run.a), int(run.trained.sum()), run.model.embedding.shape
    (25, 22, torch.Size([5, 8]))
    """
    if p < 3 or steps < 1 or width < 1 or spread <= 0 or not 0 < share < 1:
        raise ValueError(
            "p must be 3 or more, steps, width and spread positive, and share between 0 and 1; got "
            f"p={p!r}, steps={steps!r}, width={width!r}, spread={spread!r}, share={share!r}"
        )
    rng = torch.Generator().manual_seed(generator)
    model = ModularModel(p, width, spread, rng)
    a, b = (torch.arange(p * p) // p, torch.arange(p * p) % p)
    trained = torch.zeros(p * p, dtype=torch.bool)
    trained[torch.randperm(p * p, generator=rng)[: int(share * p * p)]] = True
    run = ModularRun(model, a, b, trained)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=_DECAY, betas=_BETAS)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(a[trained], b[trained]), run.sums[trained])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    return run


def powers(table: Float[Tensor, "number d"]) -> Float[Tensor, " frequency"]:
    """The share of the embeddings' variance on the circle of each frequency: 1, 2, up to (p - 1) / 2 turns.

    >>> angle = 2 * torch.pi * torch.arange(7) / 7
    >>> powers(torch.stack([torch.cos(2 * angle), torch.sin(2 * angle)], 1)).round(decimals=3)
    tensor([0., 1., 0.])
    """
    power = torch.fft.rfft(table, dim=0)[1:].abs().square().sum(1)
    share: Tensor = power / power.sum()
    return share


def rotated(
    table: Float[Tensor, "number d"], shift: float, frequencies: Sequence[int]
) -> Float[Tensor, "number d"]:
    """The embeddings with the circles of some frequencies turned as if each number were greater by ``shift``.

    The mean and all other circles stay as they are.

    Raises:
        ValueError: a frequency that is not among 1 to p // 2.

    >>> table = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    >>> torch.allclose(rotated(table, 2, [1, 2, 3]), table.roll(-2, 0), atol=1e-6)
    True
    """
    p = len(table)
    unknown = [number for number in frequencies if not 1 <= number <= p // 2]
    if unknown:
        raise ValueError(f"{p} numbers have the frequencies 1 to {p // 2}, and not {unknown}")
    waves = torch.fft.rfft(table, dim=0)
    chosen = torch.tensor(list(frequencies))
    waves[chosen] *= torch.polar(torch.ones(len(chosen)), 2 * torch.pi * shift * chosen / p)[:, None]
    found: Tensor = torch.fft.irfft(waves, n=p, dim=0)
    return found
