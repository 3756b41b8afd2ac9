"""What steering does, and what it breaks, by strength."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from conceptscope.analyses._dose_result import Dose, DoseResponse, Untouched
from conceptscope.analyses._dose_store import DoseStore, Written, digest
from conceptscope.analyses._doses import Family, Tried, interventions_at, plan_doses, try_doses
from conceptscope.analyses._measures import Wanted, as_measure
from conceptscope.analyses._prompt_bootstrap import Estimate, PromptBootstrap, beyond
from conceptscope.analyses._trials import Measure, Run, Trials
from conceptscope.hooks import Examples, HookedModel
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import numpy_generator, torch_generator


def dose_response(
    model: HookedModel,
    prompts: Examples | Sequence[Text],
    family: Family,
    strengths: Sequence[float],
    *,
    measure: Wanted = None,
    max_new_tokens: int = 20,
    temperature: float = 0.0,
    directions: int = 20,
    resamples: int = 1000,
    store: str | Path | None = None,
    progress: bool = False,
    generator: int | torch.Generator = 0,
) -> DoseResponse:
    """The wanted effect of an intervention and the harm that it does, for each strength.

    family: makes the intervention, or a list of them, of a strength, as ``concept.add`` does.
    measure: a concept: its reading at its own site and position in the prompt, under the intervention (take
        one of a later site; where it acts a concept reads what was put there). A token or several: their
        log-odds as the next one, in nats. Labelled examples: the log-odds of the tokens with which the model
        goes on after one class of them against those after the other. A function: its number for the text
        written after each prompt. None: the log-odds of the ten tokens that the family's own concept raises
        most (`Concept.top_tokens`), which shows that the push arrives, but p then means little, since random
        directions are not asked for the tokens that they raise.

    Every number is the mean over prompts of the change from the untouched model, so strength 0 has none. The
    harm is KL(untouched || steered) of the next token along the untouched model's continuation; the
    perplexity, for the untouched model, of the steered continuation over that of its own; and the rise in
    repeated runs of three tokens. Intervals come from drawing prompts (those with a group or pair in common
    together) with replacement.

    The same is done along random directions, drawn with the covariance of the activations at the site at all
    tokens of the prompts: at each token they move the activation as far as the intervention would.

    max_new_tokens, temperature: of continuations, as in `generate`; drawn ones have the same random numbers
    under all strengths and directions. KL is that of the model's own probabilities in any case.
    directions: how many; resamples: of the prompts.
    store: a folder that keeps what was measured at each strength; the same call then goes on where it was
        interrupted. A measure that is a function is known there by its name and by its number for the
        untouched model.

    Raises:
        TypeError: a family that is no function of the strength, or a measure that measures nothing.
        KeyError: a measured token that is not in the vocabulary.
        ValueError: an encoder, strengths that are none, not finite or repeated, fewer than two groups of
            prompts, nothing to measure, outputs that are not finite, or a store of other settings.

    Source: Hesterberg 2015, The American Statistician 69:371 (intervals); Welleck et al., arXiv 1908.04319
    (repetition).

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> acts = cs.capture(model, cs.load_examples("tinyworld/sentiment"), "resid_post.2")
    >>> concept = cs.MeanDifference().fit(acts)
    >>> prompts = ["the dog was happy . it will", "anna is sad . she will"]
    >>> found = cs.dose_response(model, prompts, concept.add, [0, 2], measure="smile", max_new_tokens=4)
    >>> found.doses[1].effect.value > 1
    True
    """
    levels = _checked(strengths)
    doses = [(strength, interventions_at(family, strength)) for strength in levels]
    wanted = as_measure(model, measure, doses[0][1])
    source = torch_generator(generator)
    state, rng = source.get_state(), numpy_generator(source)
    trials = Trials(model, prompts, max_new_tokens, temperature, source)
    bootstrap = PromptBootstrap(trials.cluster, resamples, rng)

    look = _looks_for(wanted)
    untouched = look(trials.under([]))
    planned = plan_doses(trials, doses, directions=directions, generator=source)
    if store is not None:
        settings = {
            "model": model.name,
            "measure": wanted.name,
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "directions": directions,
            "generator": digest(state.tolist()),
        }
        look = DoseStore.of(store, settings, trials, untouched, planned).through(look)
    total = sum(plan.own.copies + plan.random.copies for plan in planned)
    with progress_bar("dose response", total, progress) as done:
        tried = try_doses(planned, look, done)
    return DoseResponse(
        doses=tuple(_dose(one, untouched, bootstrap) for one in tried),
        untouched=Untouched(
            float(untouched.effect.mean()),
            float(np.exp(untouched.surprise.mean())),
            float(untouched.repetition.mean()),
            untouched.texts,
        ),
        measure=wanted.name,
        model_name=model.name,
        n_prompts=len(trials),
        n_groups=len(set(trials.cluster)),
        directions=directions,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        resamples=resamples,
        generator_state=state,
    )


def _looks_for(wanted: Measure) -> Callable[[Run], Written]:
    def look(run: Run) -> Written:
        return Written(run.measured(wanted), run.kl(), run.surprise(), run.repetition(), run.texts)

    return look


def _dose(tried: Tried[Written], untouched: Written, bootstrap: PromptBootstrap) -> Dose:
    """Changes from the untouched model, with intervals."""

    def change(part: str) -> Estimate:
        own, random, before = (getattr(one, part) for one in (tried.own, tried.random, untouched))
        return bootstrap.estimate(own[0] - before[0], random - before[0])

    effect = change("effect")
    return Dose(
        strength=tried.plan.strength,
        interventions=tried.plan.interventions,
        norm=tried.plan.norm,
        effect=effect,
        p=beyond(effect.value, (tried.random.effect - untouched.effect).mean(1)),
        kl=bootstrap.estimate(tried.own.kl[0], tried.random.kl, least=0.0),
        perplexity_ratio=change("surprise").mapped(np.exp),
        repetition=change("repetition"),
        texts=tried.own.texts,
    )


def _checked(strengths: Sequence[float]) -> list[float]:
    """The strengths as numbers in ascending order.

    Raises:
        ValueError: none, or one of them twice.
    """
    levels = sorted(float(strength) for strength in strengths)
    if not levels or len(set(levels)) < len(levels):
        raise ValueError(f"expected strengths, each once, got {list(strengths)}")
    return levels
