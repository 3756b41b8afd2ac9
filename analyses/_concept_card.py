"""What can be read of a concept, beside what acting on it causes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from conceptscope.analyses._card_result import DIFFERENCE, Caused, ConceptCard
from conceptscope.analyses._doses import Tried, plan_doses, try_doses
from conceptscope.analyses._measures import Wanted, as_measure, labelled
from conceptscope.analyses._prompt_bootstrap import PromptBootstrap, beyond
from conceptscope.analyses._reading_score import check_labels, reading_score
from conceptscope.analyses._telling_tokens import telling_tokens
from conceptscope.analyses._trials import Measure, Outcome, Run, Trials
from conceptscope.hooks import Examples, HookedModel
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes import Concept, Extractor
from conceptscope.probes._single import check_single

_FEWEST = 19
"""Random directions without which no p-value can be .05."""


def concept_card(
    model: HookedModel,
    concept: Concept,
    examples: Examples,
    prompts: Examples | Sequence[Text],
    *,
    measure: Wanted = None,
    strength: float = 2.0,
    extractor: Extractor | None = None,
    folds: int = 5,
    max_new_tokens: int = 20,
    directions: int = 20,
    resamples: int = 1000,
    generator: int | torch.Generator = 0,
) -> ConceptCard:
    """What a probe reads of a concept in labelled examples, and what acting on it changes after prompts.

    A label that can be read need not be used: that takes an intervention, and one that does more than random
    directions of equal norm, drawn with the covariance of the activations at all tokens of the prompts.

    Read: the concept is fitted anew without each fold by its own extractor, where it was fitted in this
    process, or by ``extractor``; a concept that was loaded is tested as it is, and must not have seen the
    examples. It can be read if the 95 % interval of AUROC is above one half.
    Steers: ``strength`` standard deviations are added and taken away, and the concept is erased. What counts
    is the measure's difference between adding and taking away: it steers if the 95 % interval over prompts
    leaves out 0 and no more than 5 % of random directions make as great a difference.

    measure: as in `dose_response`. By default the log-odds of the next tokens that tell the examples' classes
    apart; where the model goes on alike after both, nothing is measured but KL.

    Raises:
        TypeError: a measure that measures nothing.
        KeyError: a measured token that is not in the vocabulary.
        ValueError: a concept without classes or of many directions, examples of other classes, fewer than two
            groups of prompts or than 19 random directions, a strength that is not positive, or outputs that
            are not finite.

    Source: Elazar et al., arXiv 2006.00995 (what is read need not be used).

    >>> import conceptscope as cs
    >>> model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/sentiment")
    >>> concept = cs.MeanDifference().fit(cs.capture(model, data, "resid_post.2"))
    >>> prompts = ["the dog was happy . it will", "anna is sad . she will", "the cars were bad . they"]
    >>> card = cs.concept_card(model, concept, data, prompts, max_new_tokens=2)
    >>> card.readable, card.steers
    (True, True)
    """
    check_single(concept)
    check_labels(concept, examples)
    if directions < _FEWEST:
        raise ValueError(f"with {directions} random directions p cannot be .05: give at least {_FEWEST}")
    if not 0 < strength < np.inf:
        raise ValueError(f"strength must be positive and finite, got {strength}: it is added and taken away")
    source = torch_generator(generator)
    state, rng = source.get_state(), numpy_generator(source)
    trials = Trials(model, prompts, max_new_tokens)
    bootstrap = PromptBootstrap(trials.cluster, resamples, rng)
    wanted: Measure | None
    if measure is None:
        wanted = telling_tokens(model, examples, labelled(examples, concept.classes[-1]))
    else:
        wanted = as_measure(model, measure)
    known = concept.fitted_by[0] if extractor is None and concept.fitted_by is not None else extractor
    return ConceptCard(
        concept=concept,
        reading=reading_score(model, concept, examples, known, folds, source),
        folds=0 if known is None else folds,
        caused=_caused(trials, concept, wanted, strength, directions, bootstrap, source),
        measure=None if wanted is None else wanted.name,
        strength=strength,
        model_name=model.name,
        n_examples=len(examples),
        n_prompts=len(trials),
        directions=directions,
        resamples=resamples,
        generator_state=state,
    )


def _caused(
    trials: Trials,
    concept: Concept,
    wanted: Measure | None,
    strength: float,
    directions: int,
    bootstrap: PromptBootstrap,
    generator: torch.Generator,
) -> tuple[Caused, ...]:
    """What adding, taking away and erasing change, beside the same random directions."""

    def look(run: Run) -> Outcome:
        kl = run.kl()
        return Outcome(np.full_like(kl, np.nan) if wanted is None else run.measured(wanted), kl)

    doses = [(s, [concept.add(s)]) for s in (strength, -strength)] + [(0.0, [concept.erase()])]
    names = (f"add {strength:+g}", f"add {-strength:+g}", "erase")
    tried = try_doses(plan_doses(trials, doses, directions=directions, generator=generator), look)
    rows = [] if wanted is None else _effects(tried, names, look(trials.under([])).effect)
    rows += [
        _Row(f"KL of {name}", one.own.kl, one.random.kl, 0.0) for name, one in zip(names, tried, strict=True)
    ]
    return tuple(row.caused(bootstrap) for row in rows)


class _Row(NamedTuple):
    """What is summed up of an act and of random directions; ``least`` as in `PromptBootstrap.estimate`."""

    what: str
    own: Float[np.ndarray, "1 prompt"]
    random: Float[np.ndarray, "direction prompt"]
    least: float = -np.inf

    def caused(self, bootstrap: PromptBootstrap) -> Caused:
        estimate = bootstrap.estimate(self.own[0], self.random, least=self.least)
        return Caused(self.what, estimate, beyond(estimate.value, self.random.mean(1)))


def _effects(
    tried: Sequence[Tried[Outcome]], names: Sequence[str], before: Float[np.ndarray, "1 prompt"]
) -> list[_Row]:
    """The difference between adding and taking away, the effect of each, and the size of that of erasure."""
    (up, up_random), (down, down_random), (without, without_random) = (
        (one.own.effect - before, one.random.effect - before) for one in tried
    )
    return [
        _Row(DIFFERENCE, up - down, up_random - down_random),
        _Row(f"effect of {names[0]}", up, up_random),
        _Row(f"effect of {names[1]}", down, down_random),
        _Row(f"size of the effect of {names[2]}", np.abs(without), np.abs(without_random), 0.0),
    ]
