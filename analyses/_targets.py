"""What a game's value is: log-odds of a token or a class, a concept's reading, any function of the logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._token_measures import log_odds
from conceptscope.hooks import HookedModel, Site
from conceptscope.hooks._inference import inference
from conceptscope.hooks._picks import Picks
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prompts import encode
from conceptscope.hooks._recorder import Recorder
from conceptscope.probes._single import check_single

Tokens = str | int | Sequence[str | int]


@dataclass(frozen=True)
class LogOdds:
    """The log-odds log p/(1-p) of the next token, in nats; of several, the sum, each read after the others.

    tokens: a token as a string (" happy": most tokenizers have a token with its space) or an id, or a list of
    these, which the model is made to say one after the other. An encoder reads one token at its mask.
    """

    tokens: Tokens


@dataclass(frozen=True)
class LogitDifference:
    """The logit of one next token less that of another, in nats."""

    a: str | int
    b: str | int


@dataclass(frozen=True)
class ClassLogOdds:
    """The log-odds of a class in a model with a classification head, in nats; label: its name or number."""

    label: str | int


@dataclass(frozen=True)
class Similarity:
    """The cosine between the mean final states of the text and of another, as sentence encoders have it.

    Special tokens count, as they do there.
    """

    text: str


@dataclass(frozen=True, eq=False)
class Reading:
    """How one target is read from a forward pass.

    read: the value of each row, from logits [row, step, vocab] or, with a site, from its activations
    [row, position, d]. The first step comes after the text and one more after each token of ``continuation``,
    which the model is made to say; a classifier's logits are one step. position: which tokens are seen at the
    site, resolved against the whole text; None is all of them, special ones too.
    """

    name: str
    read: Callable[[Tensor], Tensor]
    continuation: tuple[int, ...] = ()
    site: Site | None = None
    position: Position | None = "last"


def as_targets(model: HookedModel, targets: Any) -> list[Reading]:
    """How each of some targets, or the only one, is read.

    targets: LogOdds, LogitDifference, ClassLogOdds, Similarity, a Concept, or a function of the logits after
    the last token, [row, vocab] to [row].

    Raises:
        TypeError: something else.
        ValueError: no targets; a token that the model does not have, or a string that is several; an unknown
            class; a concept of another model or of several directions; a target that the model's head does
            not go with.
    """
    listed = list(targets) if isinstance(targets, list | tuple) else [targets]
    if not listed:
        raise ValueError("there are no targets: give at least one, such as LogOdds(' happy')")
    return [_reading(model, target) for target in listed]


def _reading(model: HookedModel, target: Any) -> Reading:
    if isinstance(target, ClassLogOdds):
        return _of_class(model, target)
    if isinstance(target, Similarity):
        return _of_similarity(model, target)
    if hasattr(target, "read") and hasattr(target, "site"):
        return _of_concept(model, target)
    if not isinstance(target, LogOdds | LogitDifference) and not callable(target):
        raise TypeError(
            "a target is LogOdds, LogitDifference, ClassLogOdds, Similarity, a concept or a function of the "
            f"logits, got {target!r}"
        )
    if model.hf.get_output_embeddings() is None:
        raise ValueError(
            f"{model.name} ({type(model.hf).__name__}) gives no logits of tokens: "
            "take a Concept, Similarity(text), or ClassLogOdds(label) of a model with a classification head"
        )
    if isinstance(target, LogOdds):
        return _of_tokens(model, target)
    if isinstance(target, LogitDifference):
        return _of_difference(model, target)
    name = getattr(target, "__name__", type(target).__name__)
    return Reading(name, lambda logits: _numbers(target(logits[:, 0]), name, len(logits)))


def _of_tokens(model: HookedModel, target: LogOdds) -> Reading:
    given = [target.tokens] if isinstance(target.tokens, str | int) else list(target.tokens)
    if not given:
        raise ValueError("LogOdds([]) names no token: give at least one")
    tokens = [token_id(model, token, "LogOdds") for token in given]
    if len(tokens) > 1 and not model.generates:
        raise ValueError(
            f"{model.name} is an encoder and says nothing token by token: give LogOdds one token"
        )

    def read(logits: Float[Tensor, "row step vocab"]) -> Float64[Tensor, " row"]:
        steps = [log_odds(wide(logits[:, at]), [token], None) for at, token in enumerate(tokens)]
        return torch.stack(steps).sum(0)

    name = f"log-odds of {', '.join(_shown(model, token) for token in tokens)}"
    return Reading(name, read, tuple(tokens[:-1]))


def _of_difference(model: HookedModel, target: LogitDifference) -> Reading:
    a, b = (token_id(model, token, "LogitDifference") for token in (target.a, target.b))
    if a == b:
        raise ValueError(f"LogitDifference({target.a!r}, {target.b!r}) is of one token with itself")
    name = f"logit of {_shown(model, a)} less that of {_shown(model, b)}"
    return Reading(name, lambda logits: wide(logits[:, 0, a]) - wide(logits[:, 0, b]))


def _of_class(model: HookedModel, target: ClassLogOdds) -> Reading:
    config = model.hf.config
    if not type(model.hf).__name__.endswith("ForSequenceClassification") or config.num_labels < 2:
        raise ValueError(
            f"{model.name} ({type(model.hf).__name__}) tells no classes apart: ClassLogOdds needs a "
            "model for sequence classification with two labels or more"
        )
    names = {index: str(label) for index, label in config.id2label.items()}
    found = [index for index, label in names.items() if target.label in (index, label)]
    if not found:
        raise ValueError(f"{model.name} has no class {target.label!r}: it has {', '.join(names.values())}")
    read = lambda logits: log_odds(wide(logits[:, 0]), found, None)  # noqa: E731
    return Reading(f"log-odds of the class {names[found[0]]!r}", read)


def _of_concept(model: HookedModel, concept: Any) -> Reading:
    if concept.model_name and concept.model_name != model.name:
        raise ValueError(
            f"{concept!r} belongs to the model {concept.model_name!r}, and this is {model.name!r}: "
            "find the concept in this model"
        )
    check_single(concept)
    (site,) = model.resolve_sites([concept.site])

    def read(seen: Float[Tensor, "row position *d"]) -> Float64[Tensor, " row"]:
        rows = wide(seen.flatten(2) if seen.ndim > 3 else seen)
        return wide(concept.read(rows))[..., 0].mean(1)

    position = getattr(concept, "position", None)
    name = f"reading of {concept.name or 'the concept'} at {site}"
    return Reading(name, read, site=site, position="last" if position is None else position)


def _of_similarity(model: HookedModel, target: Similarity) -> Reading:
    (site,) = model.resolve_sites([f"resid_post.{model.n_layers - 1}"])
    other = _mean_state(model, target.text, site)

    def read(states: Float[Tensor, "row position d"]) -> Float64[Tensor, " row"]:
        return torch.cosine_similarity(wide(states).mean(1), other.to(states.device), dim=-1)

    return Reading(f"similarity to {target.text!r}", read, site=site, position=None)


def wide(x: Tensor) -> Tensor:
    """The tensor in float64, on its device where that knows it; gradients pass, for learned baselines."""
    return x.to("cpu" if x.device.type == "mps" else x.device).double()


def token_id(model: HookedModel, token: str | int, asked_by: str) -> int:
    """The id of a token given as a string or as an id.

    Raises:
        TypeError: neither a string nor a whole number.
        ValueError: a token that the model does not have, or a string that is several.
    """
    n = int(model.hf.get_input_embeddings().num_embeddings)
    if isinstance(token, bool) or not isinstance(token, str | int):
        raise TypeError(f"{asked_by} takes a token as a string or an id, got {token!r}")
    if isinstance(token, int):
        if not 0 <= token < n:
            raise ValueError(f"{asked_by}: token {token} is not among the {n} of {model.name}, 0 to {n - 1}")
        return token
    ids = _ids(model, token)
    if not ids or model.tokenizer.unk_token_id in ids:
        raise ValueError(f"{asked_by}: {token!r} is not in the vocabulary of {model.name}")
    if len(ids) > 1:
        raise ValueError(f"{asked_by}: {_several(model, token, ids)}")
    return ids[0]


def _several(model: HookedModel, token: str, ids: Sequence[int]) -> str:
    """What a string that is several tokens is, and what to give instead."""
    split = [model.tokenizer.decode([index]) for index in ids]
    spaced = f" {token.strip()}"
    one = len(_ids(model, spaced)) == 1
    instead = f"{spaced!r}, with its space, is one token" if one else f"give one of {split}"
    return (
        f"{token!r} is {len(ids)} tokens of {model.name}, where one is expected: {instead}; "
        f"LogOdds({list(ids)}) takes all of them together"
    )


def _ids(model: HookedModel, token: str) -> list[int]:
    found: list[int] = model.tokenizer(token, add_special_tokens=False)["input_ids"]
    return found


def _shown(model: HookedModel, token: int) -> str:
    return repr(model.tokenizer.decode([token]))


def _numbers(found: Any, name: str, n: int) -> Float64[Tensor, " row"]:
    if not isinstance(found, Tensor) or found.shape != (n,):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f"the target {name} must give a tensor of shape ({n},), one number a row, got {shape}"
        )
    return wide(found)


def _mean_state(model: HookedModel, text: str, site: Site) -> Float64[Tensor, " d"]:
    """The mean over all tokens of a text, special ones too."""
    prompts = encode(model, [text])
    everything = replace(prompts[0], content=tuple(range(len(prompts[0]))))
    recorder = Recorder(model, [site], [everything], Picks([everything], "mean"))
    with inference(model.hf), recorder.hooks():
        recorder.run([0])
    return wide(recorder.results()[site][0])
