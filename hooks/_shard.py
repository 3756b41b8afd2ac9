"""What a model computes for some examples: all of a capture, or one shard of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._batches import batches, pads
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._inference import inference
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._picks import Picks
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prefix_cache import CannotShare, shares_prefixes
from conceptscope.hooks._prefixes import Together, plan
from conceptscope.hooks._prompts import Prompt, encode
from conceptscope.hooks._recorder import Recorder
from conceptscope.hooks._site import Site
from conceptscope.hooks._vllm_capture import read_on_vllm
from conceptscope.hooks._vllm_model import VllmModel


@dataclass(frozen=True)
class Settings:
    """What is read: the sites of the model, the tokens, and how.

    batch_size changes no number; dtype is that of the result, None for the model's.
    """

    sites: tuple[Site, ...]
    position: Position
    batch_size: int | None = None
    dtype: torch.dtype | None = None


def capture_shard(
    model: HookedModel,
    data: Examples,
    settings: Settings,
    done: Callable[[int], Any] = lambda n: None,
    *,
    first: int = 0,
) -> Activations:
    """The activations of these examples, in their order.

    done: told of every few that are finished. first: the number of the first one among all that the user has,
        which an intervention is told.

    Raises:
        ValueError: an empty or too long text, a site that is not reached, or a position that a text lacks.
    """
    prompts = encode(model, data.texts, data.spans)
    picks = Picks(prompts, settings.position)
    if isinstance(model, VllmModel):
        found = read_on_vllm(model, prompts, picks, settings, done)
    else:
        recorder = Recorder(model, settings.sites, prompts, picks, settings.dtype, first)
        found = _read(model, prompts, recorder, settings, done)
    known = picks.about(data)
    return Activations(found, source=source(model, data.name, settings), **known)


def shard_rows(model: HookedModel, data: Examples, settings: Settings) -> int:
    """How many rows `capture_shard` would make, without running the model.

    Raises:
        ValueError: an empty or too long text, or a position that a text lacks.
    """
    return Picks(encode(model, data.texts, data.spans), settings.position).n_rows


@contextmanager
def placed(first: int, data: Examples) -> Iterator[None]:
    """Say in errors, which count from the shard's first example, where the shard is."""
    try:
        yield
    except ValueError as error:
        if not first:
            raise
        last = first + len(data) - 1
        raise ValueError(f"among the examples {first} to {last} (counted from 0 here): {error}") from error


def source(model: HookedModel, data: str, settings: Settings) -> dict[str, Any]:
    """Where activations came from; data is the name of the examples, if they have one."""
    named = {"data": data} if data else {}
    return {"model_name": model.name, "position": str(settings.position), "n_layers": model.n_layers, **named}


def _read(
    model: HookedModel,
    prompts: list[Prompt],
    recorder: Recorder,
    settings: Settings,
    done: Callable[[int], Any],
) -> dict[Site, Tensor]:
    with ExitStack() as stack:
        planned = _planned(model, prompts, settings.batch_size)
        stack.enter_context(inference(model.hf))
        stack.enter_context(recorder.hooks())
        for together in planned:
            for size in _run(recorder, together):
                done(size)
    return recorder.results()


def _planned(model: HookedModel, prompts: list[Prompt], batch_size: int | None) -> list[Together]:
    if shares_prefixes(model):
        return plan(prompts, batch_size)
    return [Together(batches(prompts, batch_size, equal=not pads(model, "right")))]


def _run(recorder: Recorder, together: Together) -> Iterator[int]:
    """Run batches with their prefixes first; yields how many prompts are through."""
    try:
        shared = recorder.run_prefix(together.members, together.length) if together.length else None
    except CannotShare:
        shared = None
    for rows in together.batches:
        if shared is None:
            recorder.run(rows)
        else:
            recorder.run_after(shared, rows)
        yield len(rows)
