"""A capture on vLLM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from conceptscope.hooks._batches import batches
from conceptscope.hooks._kept import Kept
from conceptscope.hooks._picks import Picks
from conceptscope.hooks._prompts import Prompt
from conceptscope.hooks._site import Site
from conceptscope.hooks._vllm_model import VllmModel

if TYPE_CHECKING:
    from conceptscope.hooks._shard import Settings


def read_on_vllm(
    model: VllmModel, prompts: Sequence[Prompt], picks: Picks, settings: Settings, done: Callable[[int], Any]
) -> dict[Site, Tensor]:
    """The rows that are picked at each site; no prefix is shared, since vLLM's own cache would hide it.

    Raises:
        ValueError: a prompt longer than the engine takes.
    """
    kept = Kept(settings.sites, picks.n_rows, settings.dtype)
    for rows in batches(prompts, settings.batch_size if model.batched else 1):
        found = model.run([prompts[row].ids for row in rows], kept.places)
        width = max(len(prompts[row]) for row in rows)
        picked = picks.of(rows, _source(width))
        for place, seen in found.items():
            kept.put(place, seen.flatten(0, 1), picked)
        done(len(rows))
    return kept.tensors()


def _source(width: int) -> Callable[[int, int], int]:
    """Where a prompt's token is in a batch that is padded on the right."""
    return lambda line, index: line * width + index
