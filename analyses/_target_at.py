"""The rest of a model, from an activation at a site to a target's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._targets import Reading, as_targets
from conceptscope.hooks import HookedModel, Site, capture, intervene, next_token_logits, patch
from conceptscope.hooks._batches import pad
from conceptscope.hooks._inference import inference
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prompts import encode
from conceptscope.hooks._rows import check_size


def target_at(
    model: HookedModel,
    site: Site | str,
    prompt: str,
    target: Any,
    *,
    position: Position = "last",
    batch_size: int = 64,
) -> Callable[[Float[Tensor, "row d"]], Float64[Tensor, " row"]]:
    """A target's value with an activation put at a site: the ``function`` of `latent_topography`.

    target: LogOdds of one token, LogitDifference, ClassLogOdds, a Concept, or a function of the logits after
        the last token, [row, vocab] to [row].
    prompt: the text around the activation, the same for all of them; position: where in it they are put.

    Raises:
        TypeError: something else as a target.
        ValueError: several targets, tokens in a row, or Similarity; what `interactions` refuses of a target;
            a site that is not there; when it runs, a position that is not there or rows of another width.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> acts = cs.capture(model, ["the dog was", "the dogs were"], "resid_post.3")
    >>> function = cs.target_at(model, "resid_post.3", "the cat", cs.LogOdds("was"))
    >>> function(acts["resid_post.3"]).shape
    torch.Size([2])
    """
    check_size("batch_size", batch_size)
    (where,) = model.resolve_sites([Site.parse(site)])
    value = _value(model, prompt, target)

    def function(rows: Float[Tensor, "row d"]) -> Float64[Tensor, " row"]:
        found = []
        for part in torch.split(rows, batch_size):
            with intervene(model, patch(part, where, positions=position)):
                found.append(value(len(part)).cpu())
        return torch.cat(found)

    return function


def _value(model: HookedModel, prompt: str, target: Any) -> Callable[[int], Float64[Tensor, " row"]]:
    """The target's value for so many copies of the prompt."""
    readings = as_targets(model, target)
    reading = readings[0]
    if len(readings) > 1 or reading.continuation or (reading.site is not None and reading.position is None):
        names = ", ".join(one.name for one in readings)
        raise ValueError(
            f"a map is of one target, read at one token, and not of {names}: take LogOdds of a single token, "
            "LogitDifference, ClassLogOdds, a concept or a function of the logits"
        )
    if reading.site is not None:
        return lambda n: reading.read(_captured(model, prompt, n, reading))
    if model.hf.get_output_embeddings() is not None:
        return lambda n: reading.read(next_token_logits(model, [prompt] * n)[:, None])
    (encoded,) = encode(model, [prompt])

    def of_classes(n: int) -> Float64[Tensor, " row"]:
        with inference(model.hf):
            return reading.read(model.hf(**pad(model, [encoded] * n).inputs).logits[:, None])

    return of_classes


def _captured(model: HookedModel, prompt: str, n: int, reading: Reading) -> Float[Tensor, "row position d"]:
    site, position = reading.site, reading.position
    if site is None or position is None:
        raise ValueError(f"{reading.name} is not read at one token of a site")
    found: Tensor = capture(model, [prompt] * n, site, position=position)[site]
    return found[:, None]
