"""Methods and sites of steering, compared at equal KL."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from conceptscope.analyses._calibrate import strength_at
from conceptscope.analyses._doses import plan_doses, try_doses
from conceptscope.analyses._measures import Wanted, as_measure, by_examples
from conceptscope.analyses._prompt_bootstrap import PromptBootstrap, beyond
from conceptscope.analyses._report_result import Candidate, SteeringReport, Winner
from conceptscope.analyses._trials import Measure, Outcome, Trials
from conceptscope.hooks import Activations, Examples, HookedModel, Site, capture
from conceptscope.hooks._positions import Position
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes import Concept, Extractor
from conceptscope.probes._extractor import check_extractor
from conceptscope.probes._single import check_single

_ALIKE = 0.9999
"""The cosine above which two directions are taken for one."""


def steering_report(
    model: HookedModel,
    examples: Examples,
    prompts: Examples | Sequence[Text],
    *,
    extractors: Sequence[Extractor] | Mapping[str, Extractor],
    sites: str | Site | Sequence[str | Site] = "resid_post",
    kl: float | Sequence[float] = 0.5,
    measure: Wanted = None,
    towards: Any = None,
    position: Position = "last",
    max_new_tokens: int = 20,
    directions: int = 20,
    resamples: int = 1000,
    progress: bool = False,
    generator: int | torch.Generator = 0,
) -> SteeringReport:
    """Which method at which site has the greatest effect for the harm that it does, on held-out prompts.

    Each extractor finds the concept at each site in the labelled examples. Half of the prompts are for
    choosing: there each concept's strength is found at which KL(untouched || steered) is ``kl``, or each of
    several levels (see `calibrate`), and the greatest effect wins. The other half was not looked at: effects,
    KL and the difference to the runner-up are reported there, beside random directions of equal norm.

    extractors: a list, or a mapping from names. towards: the class to steer to; by default the last of two.
    measure: as in `dose_response`; by default the log-odds of the next tokens that tell the examples' classes
        apart. One measure serves all, so give a concept of a site behind all of those that compete, if any.

    Raises:
        TypeError: something that is no extractor, or a measure that measures nothing.
        KeyError: a class or a measured token that is not there.
        ValueError: nothing to compare, fewer than four groups of prompts, a KL that is not positive, no
            candidate that reaches a KL, a concept of many directions where ``towards`` names none, or a model
            that goes on alike after the examples of both classes.

    >>> import conceptscope as cs
    >>> model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/sentiment")
    >>> prompts = ["the dog was happy . it will", "anna is sad . she will", "the cars were bad . they",
    ...            "peter will be joyful . he will"]
    >>> report = cs.steering_report(model, data, prompts, extractors=[cs.MeanDifference()],
    ...                             sites=["resid_post.0", "resid_post.2"], max_new_tokens=4, directions=2)
    >>> report.best.site
    Site('resid_post.2')
    """
    levels = [float(level) for level in ([kl] if isinstance(kl, int | float) else kl)]
    if not levels or not all(0 < level < math.inf for level in levels):
        raise ValueError(f"kl must be positive and finite, got {kl}")
    source = torch_generator(generator)
    state, rng = source.get_state(), numpy_generator(source)
    concepts = _concepts(capture(model, examples, sites, position=position), extractors, towards)
    wanted = by_examples(model, examples, towards) if measure is None else as_measure(model, measure)
    parts = Examples.of(prompts).split(0.5, source)
    choosing, held_out = (Trials(model, part, max_new_tokens) for part in parts)
    bootstrap = PromptBootstrap(held_out.cluster, resamples, rng)
    halves = _Halves(choosing, held_out, wanted, directions, source, bootstrap)
    entries, left_out = [], []
    with progress_bar("steering report", len(levels) * len(concepts), progress) as done:
        for level, (method, concept) in itertools.product(levels, concepts):
            try:
                entries.append(halves.entry(method, concept, level))
            except ValueError as error:
                left_out.append(f"{method} at {concept.site}, KL {level:g}: {error}")
            done(1)
    by_level = ([one for one in entries if one.level == level] for level in levels)
    return SteeringReport(
        candidates=tuple(one.candidate for one in entries),
        winners=tuple(_winner(among, bootstrap, left_out) for among in by_level),
        left_out=tuple(left_out),
        measure=wanted.name,
        model_name=model.name,
        n_examples=len(examples),
        n_choosing=len(choosing),
        n_held_out=len(held_out),
        directions=directions,
        resamples=resamples,
        generator_state=state,
    )


def _concepts(
    acts: Activations, extractors: Sequence[Extractor] | Mapping[str, Extractor], towards: Any
) -> list[tuple[str, Concept]]:
    """The concept of each extractor at each site, with the extractor's name."""
    named = extractors.items() if isinstance(extractors, Mapping) else _named(extractors)
    if not named:
        raise ValueError("there is nothing to compare: give at least one extractor")
    for _, extractor in named:
        check_extractor(extractor)
    return [
        (name, _directed(extractor.fit(acts, site), towards))
        for name, extractor in named
        for site in acts.sites
    ]


def _named(extractors: Sequence[Extractor]) -> list[tuple[str, Extractor]]:
    """Extractors by their kind, with their settings where a kind comes twice."""
    kinds = [type(one).__name__ for one in extractors]
    return [
        (repr(one) if kinds.count(kind) > 1 else kind, one)
        for kind, one in zip(kinds, extractors, strict=True)
    ]


def _directed(concept: Concept, towards: Any) -> Concept:
    directed = concept if towards is None else concept[towards]
    check_single(directed)
    return directed


@dataclass(frozen=True, eq=False)
class _Entry:
    """A candidate, its KL, and its effect on each held-out prompt."""

    candidate: Candidate
    level: float
    effects: Float[np.ndarray, " prompt"]


@dataclass(frozen=True, eq=False)
class _Halves:
    """Two halves of the prompts: on one strengths are found and effects compared, on the other reported."""

    choosing: Trials
    held_out: Trials
    wanted: Measure
    directions: int
    generator: torch.Generator
    bootstrap: PromptBootstrap

    @cached_property
    def before(self) -> list[Float[np.ndarray, "1 prompt"]]:
        """What is measured on either half of the untouched model."""
        return [half.under([]).measured(self.wanted) for half in (self.choosing, self.held_out)]

    def entry(self, method: str, concept: Concept, level: float) -> _Entry:
        """What the concept does at the strength that has a KL.

        Raises:
            ValueError: no strength has it.
        """
        strength = strength_at(self.choosing, concept.add, level)
        acting = [concept.add(strength)]
        for_choosing = self.choosing.under(acting).measured(self.wanted) - self.before[0]
        doses = [(strength, acting)]
        planned = plan_doses(self.held_out, doses, directions=self.directions, generator=self.generator)
        [tried] = try_doses(
            planned, lambda run: Outcome(run.measured(self.wanted) - self.before[1], run.kl())
        )
        effect = self.bootstrap.estimate(tried.own.effect[0], tried.random.effect)
        candidate = Candidate(
            method=method,
            concept=concept,
            wanted_kl=level,
            strength=strength,
            chosen_by=float(for_choosing.mean()),
            effect=effect,
            kl=self.bootstrap.estimate(tried.own.kl[0], tried.random.kl, least=0.0),
            p=beyond(effect.value, tried.random.effect.mean(1)),
        )
        return _Entry(candidate, level, tried.own.effect[0])


def _winner(entries: Sequence[_Entry], bootstrap: PromptBootstrap, left_out: Sequence[str]) -> Winner:
    """Who has the greatest effect on the prompts for choosing; of those who steer alike, the first.

    Raises:
        ValueError: nobody reached the KL.
    """
    if not entries:
        raise ValueError(f"no candidate reaches the KL: {'; '.join(left_out)}")
    greatest = max(entries, key=lambda one: one.candidate.chosen_by)
    first, *alike = [one for one in entries if _alike(one.candidate, greatest.candidate)]
    others = [one for one in entries if not _alike(one.candidate, greatest.candidate)]
    equals = tuple(one.candidate for one in alike)
    if not others:
        return Winner(first.candidate, equals, None)
    second = max(others, key=lambda one: one.candidate.chosen_by)
    difference = bootstrap.interval(first.effects - second.effects)
    return Winner(first.candidate, equals, second.candidate, *difference)


def _alike(one: Candidate, other: Candidate) -> bool:
    """Whether two concepts steer along one direction at one site."""
    if one.site != other.site:
        return False
    return torch.as_tensor(one.concept.cosine(other.concept, of="steering")).item() > _ALIKE
