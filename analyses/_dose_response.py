"""What steering does, and what it breaks, by strength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from conceptscope.analyses._dose_result import Dose, DoseResponse, Untouched
from conceptscope.analyses._doses import Family, Tried, interventions_at, try_doses
from conceptscope.analyses._measures import Wanted, as_measure
from conceptscope.analyses._prompt_bootstrap import Estimate, PromptBootstrap, beyond
from conceptscope.analyses._trials import Outcome, Run, Trials
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
    directions: int = 20,
    resamples: int = 1000,
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
    repeated runs of three tokens. Continuations take the likeliest tokens. Intervals come from drawing
    prompts (those with a group or pair in common together) with replacement.

    The same is done along random directions, drawn with the covariance of the activations at the site at all
    tokens of the prompts: at each token they move the activation as far as the intervention would.

    directions: how many; resamples: of the prompts; max_new_tokens: of a continuation.

    Raises:
        TypeError: a family that is no function of the strength, or a measure that measures nothing.
        KeyError: a measured token that is not in the vocabulary.
        ValueError: an encoder, strengths that are none, not finite or repeated, fewer than two groups of
            prompts, nothing to measure, or outputs that are not finite.

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
    trials = Trials(model, prompts, max_new_tokens)
    bootstrap = PromptBootstrap(trials.cluster, resamples, rng)

    def look(run: Run) -> _Written:
        return _Written(run.measured(wanted), run.kl(), run.surprise(), run.repetition(), run.texts)

    untouched = look(trials.under([]))
    with progress_bar("dose response", len(doses) * (directions + 1), progress) as done:
        tried = try_doses(trials, doses, look, directions=directions, generator=source, done=done)
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
        resamples=resamples,
        generator_state=state,
    )


@dataclass(frozen=True, eq=False)
class _Written(Outcome):
    """An outcome, and what there is to say of the texts that were written."""

    surprise: Float[np.ndarray, "copy prompt"]
    repetition: Float[np.ndarray, "copy prompt"]
    texts: tuple[str, ...]


def _dose(tried: Tried[_Written], untouched: _Written, bootstrap: PromptBootstrap) -> Dose:
    """Changes from the untouched model, with intervals."""

    def change(part: str) -> Estimate:
        own, random, before = (getattr(one, part) for one in (tried.own, tried.random, untouched))
        return bootstrap.estimate(own[0] - before[0], random - before[0])

    effect = change("effect")
    return Dose(
        strength=tried.strength,
        interventions=tried.interventions,
        norm=tried.norm,
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
