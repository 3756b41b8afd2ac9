"""Activations at some sites and positions of many texts, read by hooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._capture_store import capture_into
from conceptscope.hooks._dtypes import read_dtype
from conceptscope.hooks._example_stream import ExampleStream, source_of
from conceptscope.hooks._examples import Examples
from conceptscope.hooks._model import HookedModel, check_model
from conceptscope.hooks._positions import Position, check_position
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._ray_engine import RayEngine, read_engine
from conceptscope.hooks._rows import check_size
from conceptscope.hooks._shard import Settings, capture_shard
from conceptscope.hooks._site import Site


def capture(
    model: HookedModel,
    examples: Examples | ExampleStream | Iterable[Any],
    sites: str | Site | Sequence[str | Site] = "resid_post",
    *,
    position: Position = "last",
    batch_size: int | None = None,
    store: str | Path | None = None,
    dtype: torch.dtype | str | None = None,
    engine: Literal["ray"] | RayEngine | None = None,
    progress: bool = False,
) -> Activations:
    """What the model computes at some sites, one row an example, in the order given.

    Shapes: (example, d) for each site; (example, head, d_head) for all heads of z, q, k and v. The last
    block's resid_post is before the final norm. Tensors stay where the site's layer computes (with
    vLLM, in main memory), in the model's dtype.
    examples: texts, Examples, or an ExampleStream; what an ExampleStream reads (a generator, a data set of
        the `datasets` library) may be given as it is.
    position: the token to read, counted without special tokens; "mean" averages these; "all", a span, a
        pattern or a chat role that covers several tokens gives a row for each, with .example and .position.
    batch_size: texts in a batch, which changes the speed and no number; None fills a batch by tokens.
    store: a folder to write to instead, in shards of up to 1024 examples, for `Activations.open`. Examples
        are read as they are needed, so that memory holds one shard. If the folder holds a part of this
        capture, it goes on from there; what is damaged is done anew.
    dtype: of the result, such as "bf16", "fp16" or "fp32"; None keeps the model's.
    engine: "ray", or a RayEngine with settings, lets workers of a Ray cluster run the model and write the
        shards of a store; None runs it here. The numbers are the same.

    Tokens that several texts begin with (a system prompt, the two sides of a pair) are computed once, in
    decoders whose only memory is attention, unless an intervention or a hook treats the texts differently
    there.

    Raises:
        ImportError: engine="ray" without Ray.
        OSError: the store's disk is full; what was written stays, and the same call goes on.
        RuntimeError: Ray's workers died again and again.
        TypeError: a model, examples, sites or an engine of the wrong type.
        ValueError: no examples, an empty or too long text, an unknown site, a position that a text lacks, or
            a store of another capture; an engine without a store, or a model that cannot be sent to workers.

    >>> import conceptscope as cs
    >>> cs.capture(cs.load_model("tinyworld"), ["the dog ran .", "the cat slept ."], "resid_post.-1").n_rows
    2
    """
    check_model(model)
    chosen = read_engine(engine, store)
    check_position(position, for_capture=True)
    if batch_size is not None:
        check_size("batch_size", batch_size)
    settings = Settings(tuple(model.resolve_sites(sites)), position, batch_size, read_dtype(dtype))
    data = source_of(examples)
    if store is not None:
        return capture_into(store, model, data, settings, chosen, progress)
    listed = data.read() if isinstance(data, ExampleStream) else data
    with progress_bar("capture", len(listed), progress) as done:
        return capture_shard(model, listed, settings, done)
