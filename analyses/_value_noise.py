"""How much of a game's values is the arithmetic's doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conceptscope.analyses._game import Game
from conceptscope.hooks import HookedModel

_SHARE, _FEWEST, _MOST = 0.05, 16, 256
_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64}


def value_noise(
    model: HookedModel,
    game: Callable[[], Game],
    values: Float[Tensor, "target mask"],
    generator: torch.Generator,
) -> Float[Tensor, " target"] | None:
    """The standard deviation of the values that comes from the model's dtype; None where none is wider.

    In twice as many bits the model computes one mask in twenty again (from 16 to 256 of them), under the same
    interventions. An error that all masks share adds to no interaction, and does not count.

    game: makes anew the game that the values are of.
    """
    wide = _WIDER.get(model.hf.dtype)
    if wide is None or not all(p.is_floating_point() and not p.is_meta for p in model.hf.parameters()):
        return None
    n_masks = values.shape[-1]
    n = min(n_masks, max(_FEWEST, min(_MOST, int(_SHARE * n_masks))))
    chosen = torch.randperm(n_masks, generator=generator)[:n]
    with _widened(model.hf, wide):
        again = game()
        present = (chosen[:, None] >> torch.arange(len(again.players))) & 1 > 0
        found = again.values(present)
    return (found - values[:, chosen]).std(-1)


@contextmanager
def _widened(root: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Give all narrower tensors of a model another dtype, and then their own data back, bit for bit."""
    tensors = [x for x in chain(root.parameters(), root.buffers()) if x.is_floating_point()]
    narrow = [(x, x.data) for x in tensors if torch.finfo(x.dtype).bits < torch.finfo(dtype).bits]
    try:
        for x, own in narrow:
            x.data = own.to(dtype)
        yield
    finally:
        for x, own in narrow:
            x.data = own
