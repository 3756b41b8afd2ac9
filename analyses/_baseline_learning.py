"""An embedding learned to stand for what is absent, so that few interactions explain the values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from conceptscope.analyses._baselines import Baseline
from conceptscope.analyses._coalition_batches import TextForwards
from conceptscope.analyses._players import Players
from conceptscope.hooks import HookedModel
from conceptscope.hooks._inference import inference

Played = tuple[TextForwards, Players]
"""A text with the baseline to begin from, and its players."""

_LARGEST = 3
_QUADRUPLES, _JUDGED = 8, 32
_EVERY = 10
_RATE = 0.1
"""The size of a step, as a share of the standard deviation of the embeddings' entries."""


def learn(texts: Sequence[Played], steps: int, generator: torch.Generator) -> Baseline:
    """The embedding, shared by all players of all texts, with the smallest loss on coalitions drawn once.

    The loss is the mean of |v(S1+S2+S3) - v(S1+S3) - v(S2+S3) + v(S3)| over disjoint coalitions, S1 and S2
    of one to three players, and over the targets. It is taken down by Adam, and judged every ten steps.

    Raises:
        ValueError: no text with two players, or a target without gradients.

    Source: Ren et al., arXiv 2305.01939 (the loss).
    """
    usable = [(forwards, players) for forwards, players in texts if len(players.labels) > 1]
    if not usable:
        raise ValueError("a learned baseline needs a text with two players: take baseline='mean'")
    model = usable[0][0].model
    begun = usable[0][0].baseline.embedding
    if begun is None:
        raise ValueError("a learned baseline begins from an embedding, and removal has none")
    judges = [(text, _quadruples(text[1], _JUDGED, generator)) for text in usable]
    with inference(model.hf), torch.inference_mode(False), torch.enable_grad():
        embedding = begun.detach().clone().requires_grad_()
        adam = torch.optim.Adam([embedding], lr=_RATE * _spread(model))
        best, losses = embedding.detach().clone(), [_judged(judges, embedding)]
        for step in range(1, steps + 1):
            text = usable[step % len(usable)]
            loss = _loss(text, _quadruples(text[1], _QUADRUPLES, generator), embedding)
            if not loss.requires_grad:
                raise ValueError("a target without gradients cannot learn a baseline: take baseline='mean'")
            (embedding.grad,) = torch.autograd.grad(loss, embedding)
            adam.step()
            if step % _EVERY == 0 or step == steps:
                losses.append(_judged(judges, embedding))
                if losses[-1] == min(losses):
                    best = embedding.detach().clone()
    name = f"an embedding learned in {steps} steps (loss {losses[0]:.3g}, then {min(losses):.3g})"
    return Baseline(name, best, tuple(losses))


def _judged(
    judges: Sequence[tuple[Played, Bool[Tensor, "four draw player"]]], embedding: Float[Tensor, " d"]
) -> float:
    with torch.no_grad():
        losses = [float(_loss(text, drawn, embedding)) for text, drawn in judges]
    return sum(losses) / len(losses)


def _loss(
    text: Played, drawn: Bool[Tensor, "four draw player"], embedding: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    forwards, players = text
    absent = players.absent(drawn.flatten(0, 1), len(forwards.prompt))
    values = forwards.with_baseline(replace(forwards.baseline, embedding=embedding)).run(absent)
    both, one, other, neither = values.view(len(values), *drawn.shape[:2]).unbind(1)
    loss: Tensor = (both - one - other + neither).abs().mean()
    return loss


def _quadruples(players: Players, n: int, generator: torch.Generator) -> Bool[Tensor, "four draw player"]:
    """S1+S2+S3, S1+S3, S2+S3 and S3 of random disjoint coalitions."""
    n_players = len(players.labels)
    rank = torch.rand(n, n_players, generator=generator, device=generator.device).cpu().argsort(1).argsort(1)
    most = min(_LARGEST, n_players // 2)
    sizes = torch.randint(1, most + 1, (2, n, 1), generator=generator, device=generator.device).cpu()
    first, second = rank < sizes[0], (rank >= sizes[0]) & (rank < sizes.sum(0))
    coins = torch.rand(n, n_players, generator=generator, device=generator.device).cpu() < 0.5
    rest = coins & ~first & ~second
    return torch.stack([first | second | rest, first | rest, second | rest, rest])


def _spread(model: HookedModel) -> float:
    embed = model.hf.get_input_embeddings()
    return float(embed.weight.detach().float().std() * getattr(embed, "scalar_embed_scale", 1.0))
