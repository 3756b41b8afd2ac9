"""How an activation is moved along a concept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import AffineEdit

if TYPE_CHECKING:
    from conceptscope.hooks import Where
    from conceptscope.probes._concept_reading import ReadableConcept


@dataclass(frozen=True, eq=False)
class ConceptEdit:
    """An edit made from a concept; model_name is the model that it is meant for, "" for any.

    affine: the same edit as an affine map, which `bake` can fold; None where it is none.
    """

    concept: ReadableConcept
    act: Callable[[Tensor], Tensor]
    model_name: str = ""
    affine: AffineEdit | None = None

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        """The changed rows.

        Raises:
            ValueError: rows of another width than the concept's.
        """
        check_width(self.concept, self.concept.d, x)
        return self.act(x)


def check_width(made_from: object, d: int, x: Float[Tensor, row * d]) -> None:
    """Refuse rows of another width than that of the concept, or concept map, that an edit was made from.

    Raises:
        ValueError: such rows.
    """
    if x.shape[1:].numel() != d:
        raise ValueError(
            f"{made_from!r} has width {d}, it cannot act on activations of shape {tuple(x.shape[1:])}"
        )


_DEPENDENT = 1e-5
"""Singular values below this share of the greatest one are rounding."""


def rise(concept: ReadableConcept, amount: Any) -> Float[Tensor, " d"]:
    """What must be added for the readings to rise by amount standard deviations: W (A W)^-1 (scale amount).

    Raises:
        TypeError: no numbers.
        ValueError: not one number or k, or readings that depend on one another and cannot rise so.
    """
    wanted = concept.scale.double() * per_direction(concept, amount)
    lift = _lift(concept)
    _check_reached(concept, lift, wanted[:, None])
    return lift @ wanted


def per_direction(concept: ReadableConcept, given: Any) -> Float[Tensor, " concept"]:
    """A number for each of the k directions, of which one may stand for all, in float64.

    Raises:
        TypeError: no numbers.
        ValueError: not one number or k.
    """
    try:
        numbers = torch.as_tensor(given, dtype=torch.float64, device=concept.reading.device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"expected one number or {concept.k}, got {given!r}") from error
    if numbers.ndim and numbers.shape != (concept.k,):
        raise ValueError(f"expected one number or {concept.k}, got shape {tuple(numbers.shape)}")
    return numbers.expand(concept.k)


def levelling(concept: ReadableConcept, goal: Float[Tensor, " concept"]) -> AffineEdit:
    """What `moved` does where all rows shall have one valuation A x, the goal, as an affine map."""
    lift = _lift(concept)
    return AffineEdit(lift @ goal.double(), -lift, concept.reading.double())


def mirroring(concept: ReadableConcept) -> AffineEdit:
    """What changes the sign of every reading, as an affine map.

    Raises:
        ValueError: readings that depend on one another.
    """
    lift = _lift(concept)
    _check_reached(concept, lift, torch.eye(concept.k).to(lift))
    return AffineEdit(2 * lift @ concept.offset.double(), -2 * lift, concept.reading.double())


def moved(
    concept: ReadableConcept,
    target: Callable[[Tensor], Tensor],
    *,
    reaches: Tensor | None = None,
    independent: bool = False,
) -> Callable[[Tensor], Tensor]:
    """Moves each row so that its reading r becomes target(r), both in standard deviations.

    reaches: the valuation that is aimed at, if it is one and the same for all rows.
    independent: whether the target makes sense for independent readings only.

    Raises:
        ValueError: readings that depend on one another and cannot be so.
    """
    lift = _lift(concept)
    if reaches is not None:
        _check_reached(concept, lift, reaches.double()[:, None])
    if independent:
        _check_reached(concept, lift, torch.eye(concept.k).to(lift))
    held: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def act(x: Tensor) -> Tensor:
        wide = x.flatten(1) if x.dtype == torch.float64 else x.flatten(1).float()
        key = (wide.device, wide.dtype)
        if key not in held:
            held[key] = (lift * concept.scale.double()).T.to(*key)
        now = concept.read(wide)
        return (wide + (target(now) - now) @ held[key]).to(x.dtype).view(x.shape)

    return act


def _lift(concept: ReadableConcept) -> Float[Tensor, "d concept"]:
    """W (A W)^-1, or its pseudo-inverse where the k readings depend on one another."""
    unit = torch.nn.functional.normalize
    reading, steering = concept.reading.double(), concept.steering.double()
    between = unit(reading, dim=-1) @ unit(steering, dim=-1).T
    if concept.k == 1 and abs(between.item()) < _DEPENDENT:
        raise ValueError(
            f"the reading and the steering direction of {concept!r} are orthogonal: it cannot steer"
        )
    inverse = torch.linalg.pinv(between, rtol=_DEPENDENT)
    lift: Tensor = unit(steering, dim=-1).T @ (inverse / reading.norm(dim=-1))
    return lift


def _check_reached(concept: ReadableConcept, lift: Tensor, goals: Float[Tensor, "concept goal"]) -> None:
    missed = (concept.reading.double() @ lift @ goals - goals).norm()
    if missed > 1e-3 * goals.norm():
        some = repr(concept.classes[0]) if concept.classes else 0
        raise ValueError(
            f"the {concept.k} readings of {concept!r} depend on one another and cannot all change so: "
            f"act along one of them, concept[{some}]"
        )
