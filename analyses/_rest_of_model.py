"""The rest of a model, from an activation at a site to a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._convexity_settings import Predict
from conceptscope.analyses._targets import token_id
from conceptscope.hooks import HookedModel, Site, intervene, next_token_logits, patch
from conceptscope.hooks._batches import pad
from conceptscope.hooks._inference import inference
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prompts import encode
from conceptscope.hooks._rows import check_size


def rest_of_model(
    model: HookedModel,
    site: Site | str,
    prompt: str,
    tokens: Mapping[Any, str | int] | None = None,
    *,
    position: Position = "last",
    batch_size: int = 64,
) -> Predict:
    """What a model says with an activation put at a site: the ``predict`` of Euclidean `convexity`.

    prompt: the text around the activation, the same for all of them; position: where in it they are put.
        At sites below the last layer later tokens see it, and earlier ones are those of the prompt: a label
        is what this prompt makes of the activation.
    tokens: each label's token; said is the label whose token is the likeliest to come next. None takes the
        classes of a model with a classification head, by their names.

    Raises:
        ValueError: no tokens for a model without a classification head, or a head and tokens; a string that
            is several tokens; a site or position that is not there; when it runs, rows of another width.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> acts = cs.capture(model, ["the dog was", "the dogs were"], "resid_post.3")
    >>> predict = cs.rest_of_model(model, "resid_post.3", "the cat", {"one": "was", "many": "were"})
    >>> len(predict(acts["resid_post.3"]))
    2
    """
    check_size("batch_size", batch_size)
    (where,) = model.resolve_sites([Site.parse(site)])
    logits, labels, columns = _output(model, prompt, tokens)

    def predict(rows: Float[Tensor, "row d"]) -> list[Any]:
        found: list[Any] = []
        for part in torch.split(rows, batch_size):
            with intervene(model, patch(part, where, positions=position)):
                chosen = logits(len(part))[:, columns].argmax(1)
            found += [labels[number] for number in chosen.tolist()]
        return found

    return predict


def _output(
    model: HookedModel, prompt: str, tokens: Mapping[Any, str | int] | None
) -> tuple[Callable[[int], Float[Tensor, "row output"]], list[Any], list[int]]:
    """The outputs of so many copies of the prompt; the labels, and the output that stands for each."""
    has_classes = type(model.hf).__name__.endswith("ForSequenceClassification")
    if has_classes == (tokens is not None):
        remedy = "leave tokens out" if has_classes else "give tokens={label: token, ...}"
        raise ValueError(f"{model.name} is a {type(model.hf).__name__}: {remedy}")
    if tokens is not None:
        ids = [token_id(model, token, "rest_of_model") for token in tokens.values()]
        return lambda n: next_token_logits(model, [prompt] * n), list(tokens), ids
    (encoded,) = encode(model, [prompt])

    def classes(n: int) -> Float[Tensor, "row output"]:
        with inference(model.hf):
            logits: Tensor = model.hf(**pad(model, [encoded] * n).inputs).logits
        return logits

    names = dict(model.hf.config.id2label)
    return classes, list(names.values()), list(names)
