"""The strength at which an intervention changes the model by so much."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch

from conceptscope.analyses._doses import Family, interventions_at
from conceptscope.analyses._trials import Trials
from conceptscope.hooks import Examples, HookedModel
from conceptscope.hooks._prompts import Text


def calibrate(
    model: HookedModel,
    prompts: Examples | Sequence[Text],
    family: Family,
    *,
    kl: float = 0.5,
    start: float = 1.0,
    largest: float = 1000.0,
    tolerance: float = 0.01,
    max_new_tokens: int = 20,
    temperature: float = 0.0,
    generator: int | torch.Generator = 0,
) -> float:
    """The strength at which KL(untouched || steered), as in `dose_response`, has this mean over the prompts.

    Doses of equal KL compare across layers, methods and models, where those of equal strength do not.

    kl: in nats a token. start: where the search begins; a negative one stays among negative strengths. It
    goes on by doubling until KL is reached, up to a strength of ``largest``, and then by Brent's method,
    until KL is right within a share of ``tolerance``. KL must be less at strength 0.
    max_new_tokens, temperature, generator: of the untouched continuations, as in `generate`.

    Raises:
        TypeError: a family that is no function of the strength.
        ValueError: no strength in that range has the KL, a setting out of range, an encoder, or outputs that
            are not finite.

    Source: Brent 1973, Algorithms for Minimization without Derivatives, chapter 4.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> acts = cs.capture(model, cs.load_examples("tinyworld/sentiment"), "resid_post.2")
    >>> concept = cs.MeanDifference().fit(acts)
    >>> strength = cs.calibrate(model, ["the dog was happy . it will"], concept.add, kl=0.2, max_new_tokens=4)
    >>> 0.5 < strength < 4
    True
    """
    _check_settings(kl, start, largest, tolerance)
    trials = Trials(model, prompts, max_new_tokens, temperature, generator)
    return strength_at(trials, family, kl, start=start, largest=largest, tolerance=tolerance)


def strength_at(
    trials: Trials,
    family: Family,
    kl: float,
    *,
    start: float = 1.0,
    largest: float = 1000.0,
    tolerance: float = 0.01,
) -> float:
    """The strength at which KL has this mean over the prompts; see `calibrate`.

    Raises:
        ValueError: no strength in the range has it.
    """
    from scipy.optimize import brentq

    @functools.cache
    def at(strength: float) -> float:
        return float(trials.under(interventions_at(family, strength)).kl().mean())

    def missing(strength: float) -> float:
        """Of the root, which is nearly straight where KL is small, and 0 as soon as KL is near enough."""
        found = at(strength)
        return 0.0 if abs(found - kl) <= tolerance * kl else math.sqrt(found) - math.sqrt(kl)

    below, above = _bracket(at, kl, start, largest)
    strength = float(brentq(missing, below, above, xtol=1e-9 * abs(start), rtol=1e-9))
    if missing(strength):
        raise ValueError(
            f"no strength has a KL of {kl:g}: near {strength:g} it jumps over that; choose another kl="
        )
    return strength


def _bracket(at: Callable[[float], float], kl: float, start: float, largest: float) -> tuple[float, float]:
    """A strength with less KL, and one with as much or more."""
    below, above = 0.0, start
    while at(above) < kl:
        if abs(above) >= largest:
            raise ValueError(
                f"no strength up to {above:g} has a KL of {kl:g}: there it is {at(above):.3g}; "
                "give a smaller kl=, or a greater largest="
            )
        below, above = above, math.copysign(min(abs(2 * above), largest), start)
    if below == 0.0 and at(0.0) >= kl:
        raise ValueError(
            f"the KL is {at(0.0):.3g} at strength 0 already, and {kl:g} is wanted: "
            "give a family that does nothing at strength 0"
        )
    return below, above


def _check_settings(kl: float, start: float, largest: float, tolerance: float) -> None:
    if not 0 < kl < math.inf:
        raise ValueError(f"kl must be positive and finite, got {kl}")
    if not 0 < abs(start) <= largest < math.inf:
        raise ValueError(f"start must lie between 0 and largest, got start={start} and largest={largest}")
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance must be a share between 0 and 1, got {tolerance}")
