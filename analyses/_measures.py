"""The wanted effect of steering: what is measured on each prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from conceptscope.analyses._telling_tokens import telling_tokens
from conceptscope.analyses._token_measures import TokenLogOdds
from conceptscope.analyses._trials import Measure, Run
from conceptscope.hooks import Examples, HookedModel, Intervention, capture, intervene
from conceptscope.hooks._noted_position import noted_position
from conceptscope.hooks._positions import Position
from conceptscope.probes import Concept
from conceptscope.probes._single import check_single

Wanted = Concept | Examples | str | int | Sequence[str | int] | Callable[[str], float] | None
"""A concept, labelled examples, a token or several, a function of the text that is written, or nothing."""

_RAISED = 10
_CHOICES = "measure= takes a concept, labelled examples, tokens, or a function of the text"


@dataclass(frozen=True, eq=False)
class Reading:
    """A concept's reading at the prompt, at its own site and position, under the interventions."""

    concept: Concept

    @property
    def name(self) -> str:
        """What is measured, in words."""
        concept = self.concept
        return f"reading of {concept.name or concept.method or 'the concept'} at {concept.site}, in sd"

    def __call__(self, run: Run) -> Float[np.ndarray, " row"]:
        """The reading of each prompt; of several tokens, their mean."""
        with intervene(run.model, *run.interventions):
            acts = capture(run.model, run.examples, self.concept.site, position=position_of(self.concept))
        readings = self.concept.read(acts)[:, 0].double().cpu()
        counts = torch.bincount(acts.example)
        return (torch.zeros(len(counts)).double().index_add(0, acts.example, readings) / counts).numpy()


@dataclass(frozen=True, eq=False)
class OfText:
    """A user's function of the text that was written."""

    function: Callable[[str], float]

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.function, "__name__", self.function))

    def __call__(self, run: Run) -> Float[np.ndarray, " row"]:
        """The number of each text."""
        return np.array([float(self.function(text)) for text in run.texts])


def as_measure(model: HookedModel, wanted: Wanted, interventions: Sequence[Intervention] = ()) -> Measure:
    """What is to be measured; by default the tokens that the interventions' own concept raises most.

    Raises:
        KeyError: a token that is not in the vocabulary.
        TypeError: something that measures nothing.
        ValueError: nothing given, and no concept in the interventions; a concept of many directions or of a
            position that is not known; a text that is not one token; or examples that do not serve.
    """
    if wanted is None:
        return TokenLogOdds.of(model, _raised_most(model, _own_concept(interventions)))
    if isinstance(wanted, Concept):
        check_single(wanted)
        position_of(wanted)
        return Reading(wanted)
    if isinstance(wanted, Examples):
        return by_examples(model, wanted)
    if callable(wanted):
        return OfText(wanted)
    if not isinstance(wanted, str | int | Sequence):
        raise TypeError(f"{_CHOICES}, got {wanted!r}")
    given = [wanted] if isinstance(wanted, str | int) else wanted
    if not given:
        raise ValueError(f"no tokens were given: {_CHOICES}")
    return TokenLogOdds.of(model, list(dict.fromkeys(_token(model, one) for one in given)))


def by_examples(model: HookedModel, examples: Examples, towards: Any = None) -> TokenLogOdds:
    """The tokens with which the model goes on after texts of one class against those after other texts.

    towards: the class; None is the last of two.

    Raises:
        KeyError: no such class.
        ValueError: no labels, none named of more than two classes, or texts after which the model goes on
            alike.
    """
    classes = sorted(set(examples.labels or []))
    if len(classes) < 2 or (len(classes) > 2 and towards is None):
        raise ValueError(f"examples to measure by need labels of two classes, got {len(classes)}")
    if towards is not None and towards not in classes:
        raise KeyError(f"no class {towards!r} among the examples, which have {', '.join(map(repr, classes))}")
    label = classes[-1] if towards is None else towards
    found = telling_tokens(model, examples, labelled(examples, label))
    if found is None:
        raise ValueError(
            f"{model.name} goes on alike after texts labelled {label!r} and after others, so they do not say "
            f"what to measure: {_CHOICES}"
        )
    return found


def labelled(examples: Examples, label: Any) -> Bool[np.ndarray, " example"]:
    """Which examples have the label."""
    return np.array([one == label for one in examples.labels or []])


def position_of(concept: Concept) -> Position:
    """Where a concept is read in a prompt: at its own position, and without one at the last token.

    Raises:
        ValueError: a position that only the capture knew.
    """
    given = concept.position
    known = "last" if given is None else noted_position(str(given))
    if known is not None:
        return known
    raise ValueError(
        f"{concept!r} was found at the position {given}, which is not known here: "
        "dataclasses.replace(concept, position=...) says where to read it"
    )


def _raised_most(model: HookedModel, concept: Concept) -> list[int]:
    """The tokens whose unembedding has the greatest product with the concept's vector."""
    unembedding = model.unembedding
    if unembedding is None or unembedding.shape[1] != concept.d:
        raise ValueError(
            f"what {concept!r} raises cannot be read off the unembedding of {model.name}, so say what to "
            f"measure: {_CHOICES}"
        )
    raised = unembedding @ concept.vector.to(unembedding)
    top: list[int] = raised.topk(min(_RAISED, len(raised))).indices.tolist()
    return top


def _own_concept(interventions: Sequence[Intervention]) -> Concept:
    for intervention in interventions:
        concept = getattr(intervention.edit, "concept", None)
        if isinstance(concept, Concept):
            check_single(concept)
            return concept
    raise ValueError(f"the interventions are not made from a concept, so say what to measure: {_CHOICES}")


def _token(model: HookedModel, given: Any) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        if not 0 <= given < model.hf.get_input_embeddings().num_embeddings:
            raise KeyError(f"there is no token {given} in the vocabulary of {model.name}")
        return given
    if not isinstance(given, str):
        raise TypeError(f"{_CHOICES}, got {given!r} among tokens")
    ids = model.tokenizer(given, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        parts = ", ".join(repr(model.tokenizer.decode([token])) for token in ids)
        raise ValueError(
            f"{given!r} is {len(ids)} tokens of {model.name}, and one is needed: {parts or 'none'}"
        )
    if ids[0] == model.tokenizer.unk_token_id and given != model.tokenizer.unk_token:
        raise KeyError(f"there is no token {given!r} in the vocabulary of {model.name}")
    return int(ids[0])
