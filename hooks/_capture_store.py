"""A capture whose result goes to disk, shard after shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._example_stream import ExampleStream
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._picks import Picks
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import encode
from conceptscope.hooks._ray_engine import RayEngine, Write
from conceptscope.hooks._shard import Settings, capture_shard, placed, source
from conceptscope.hooks._store import Store, open_store

_FEWEST, _MOST = 8, 1024
"""Examples in a shard: fewer fill no batch, and more are a loss when a process dies."""

_SHARD_BYTES = 1 << 27
_SAMPLE = 64

_CLOSE = {torch.float16: 0.05, torch.bfloat16: 0.05}
_CLOSE_OTHERS = 0.005


def capture_into(
    folder: str | Path,
    model: HookedModel,
    examples: Examples | ExampleStream,
    settings: Settings,
    engine: RayEngine | None = None,
    progress: bool = False,
) -> Activations:
    """Capture what a store does not hold yet, and open it.

    engine: what runs the model; None is this process.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was written stays.
        ValueError: the folder holds something else, or a store of another capture; what `capture_shard` says.
    """
    total = len(examples) if isinstance(examples, Examples) else examples.n_examples
    described = about(model, examples.name, settings)
    with open_store(folder, described, lambda: shard_size(model, examples, settings)) as store:
        with (
            progress_bar("capture", total, progress) as done,
            _writer(engine, store, model, settings, done) as write,
        ):
            n, compared = 0, False
            for number, data in enumerate(_shards(examples, store.shard_size)):
                if store.holds(number, data):
                    compared = compared or _compare(store, number, model, data, settings)
                    done(len(data))
                else:
                    write(number, data, n)
                n += len(data)
        store.finish(n)
    return Activations.open(folder)


def about(model: HookedModel, data: str, settings: Settings) -> dict[str, Any]:
    """What a store says about a capture, all of which must be the same when it goes on."""
    return source(model, data, settings) | {
        "sites": [str(site) for site in settings.sites],
        "dtype": str(settings.dtype or model.hf.dtype).removeprefix("torch."),
    }


def shard_size(model: HookedModel, examples: Examples | ExampleStream, settings: Settings) -> int:
    """How many examples, if they are like the first ones, make about 128 MB; from 8 to 1024."""
    sample = examples.first(_SAMPLE) if isinstance(examples, ExampleStream) else examples[:_SAMPLE]
    rows = Picks(encode(model, sample.texts, sample.spans), settings.position).n_rows
    dtype: torch.dtype = settings.dtype or model.hf.dtype
    size = rows * len(settings.sites) * model.d_model * dtype.itemsize
    return max(_FEWEST, min(_MOST, _SHARD_BYTES * len(sample) // size))


def _shards(examples: Examples | ExampleStream, size: int) -> Iterator[Examples]:
    if isinstance(examples, ExampleStream):
        return examples.blocks(size)
    return (examples[first : first + size] for first in range(0, len(examples), size))


def _writer(
    engine: RayEngine | None, store: Store, model: HookedModel, settings: Settings, done: Callable[[int], Any]
) -> AbstractContextManager[Write]:
    if engine is not None:
        return engine.writer(store, model, settings, done)

    def write(number: int, data: Examples, first: int) -> None:
        with placed(first, data):
            found = capture_shard(model, data, settings, done, first=first)
        store.put(number, data, found)

    return nullcontext(write)


def _compare(store: Store, number: int, model: HookedModel, data: Examples, settings: Settings) -> bool:
    """Refuse to go on with other weights, or under other interventions, than the store was begun with."""
    found = capture_shard(model, data[:1], settings, first=number * store.shard_size)
    for site, tensor in store.first_rows(number).items():
        now = found[site].cpu()
        close = _CLOSE.get(tensor.dtype, _CLOSE.get(model.hf.dtype, _CLOSE_OTHERS))
        off = _distance(now, tensor) if now.shape == tensor.shape else 1.0
        if off > close:
            raise ValueError(
                f"{model.name} does not compute what the store {str(store.folder)!r} holds: {site} is "
                f"{off:.0%} off at the first text; with other weights or interventions, give another folder"
            )
    return True


def _distance(now: torch.Tensor, then: torch.Tensor) -> float:
    a, b = (torch.nan_to_num(x.double()) for x in (now, then))
    return float((a - b).norm() / b.norm().clamp(min=1e-12))
