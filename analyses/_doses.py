"""Interventions of several strengths, tried beside random directions of equal norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._null_directions import Changes, directions_at, elsewhere, watched
from conceptscope.analyses._trials import Run, Trials
from conceptscope.hooks import Intervention, Site
from conceptscope.hooks._intervene import sites_of

Seen = TypeVar("Seen")

Family = Callable[[float], Intervention | Sequence[Intervention]]
"""The intervention of each strength, or several that act together."""


@dataclass(frozen=True, eq=False)
class Planned:
    """One strength: a run with its interventions, and one with random directions in their place.

    changes: what each intervention changes along the untouched texts.
    """

    strength: float
    interventions: tuple[Intervention, ...]
    changes: list[Changes]
    own: Run
    random: Run

    @property
    def norm(self) -> float:
        """The mean length of the change at the tokens that it acts on, in activation units."""
        return _norm(self.changes)


@dataclass(frozen=True, eq=False)
class Tried(Generic[Seen]):
    """What was seen of one strength, and of random directions of equal norm."""

    plan: Planned
    own: Seen
    random: Seen


def interventions_at(family: Family, strength: float) -> list[Intervention]:
    """What a family makes of a strength.

    Raises:
        TypeError: the family is no function, or makes something else.
        ValueError: a strength that is not finite.
    """
    if not callable(family):
        raise TypeError(f"a family is a function of the strength, such as concept.add, got {family!r}")
    if not math.isfinite(strength):
        raise ValueError(f"strengths must be finite, got {strength}")
    made = family(strength)
    listed = [made] if isinstance(made, Intervention) else made
    if not isinstance(listed, Sequence) or not all(isinstance(one, Intervention) for one in listed):
        raise TypeError(f"a family makes an intervention, or a list of them, of a strength; it made {made!r}")
    return list(listed)


def plan_doses(
    trials: Trials,
    doses: Sequence[tuple[float, list[Intervention]]],
    *,
    directions: int,
    generator: torch.Generator,
) -> list[Planned]:
    """Each dose, and in its place random directions of equal norm, which are the same for all doses.

    Raises:
        ValueError: no directions, or doses that act at different sites.
    """
    if directions < 1:
        raise ValueError(f"at least one random direction is needed to compare with, got {directions}")
    sites = _sites(trials, doses)
    changes = [_changes(trials, made) for _, made in doses]
    drawn = directions_at(trials.model, trials.examples, sites, directions, generator)
    ahead = [
        _ahead(at_site, like[0]) for at_site, like in zip(zip(*changes, strict=True), drawn, strict=True)
    ]
    planned = []
    for (strength, made), noted in zip(doses, changes, strict=True):
        copies = directions if _norm(noted) else 1  # without a change they are all the same
        random = trials.under(elsewhere(made, ahead, drawn, len(trials)), copies)
        planned.append(Planned(strength, tuple(made), noted, trials.under(made), random))
    return planned


def try_doses(
    planned: Sequence[Planned], look: Callable[[Run], Seen], done: Callable[[int], Any] = lambda copies: None
) -> list[Tried[Seen]]:
    """What is wanted of each run; ``done`` is told how many copies of the prompts that took."""

    def seen(run: Run) -> Seen:
        found = look(run)
        done(run.copies)
        return found

    return [Tried(plan, seen(plan.own), seen(plan.random)) for plan in planned]


def _sites(trials: Trials, doses: Sequence[tuple[float, list[Intervention]]]) -> list[Site]:
    at = {strength: sites_of(trials.model, made) for strength, made in doses}
    first, *_ = at
    for strength, sites in at.items():
        if sites != at[first]:
            raise ValueError(
                f"the family acts at {_listed(at[first])} with strength {first:g}, and at {_listed(sites)} "
                f"with strength {strength:g}: it must act at the same sites"
            )
    return at[first]


def _listed(sites: Sequence[Site]) -> str:
    return ", ".join(map(str, sites)) or "no site"


def _changes(trials: Trials, interventions: list[Intervention]) -> list[Changes]:
    """What the interventions change at the prompts and the untouched continuations."""
    noting, changes = watched(interventions, torch.tensor([one.steps for one in trials.written]))
    trials.under(noting).kl()
    return changes


def _ahead(changes: Sequence[Changes], like: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    """The greatest change of all strengths."""
    greatest = [one.greatest for one in changes if one.greatest is not None]
    return max(greatest, key=lambda change: float(change.norm()), default=torch.zeros_like(like))


def _norm(changes: Sequence[Changes]) -> float:
    return sum(one.total for one in changes) / max(sum(one.rows for one in changes), 1)
