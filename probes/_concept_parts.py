"""What a concept is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Site
from conceptscope.hooks._positions import Position
from conceptscope.probes._described import as_table, in_brief

Link = Literal["logit"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class ConceptParts:
    """The parts of a concept, checked against one another; `Concept` says what each of them means."""

    reading: Float[Tensor, "concept d"]
    steering: Float[Tensor, "concept d"]
    offset: Float[Tensor, " concept"]
    scale: Float[Tensor, " concept"]
    mean: Float[Tensor, " d"]
    classes: tuple[Any, ...]
    site: Site
    position: Position | None
    name: str
    method: str
    model_name: str
    link: Link | None
    source: dict[str, Any]

    def __init__(
        self,
        reading: Any,
        steering: Any = None,
        offset: Any = None,
        scale: Any = None,
        mean: Any = None,
        classes: Sequence[Any] = (),
        *,
        site: Site | str,
        position: Position | None = None,
        name: str = "",
        method: str = "",
        model_name: str = "",
        link: Link | None = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        given = torch.as_tensor(reading)
        given = given[None] if given.ndim == 1 else given
        if given.ndim != 2 or not given.is_floating_point() or not given.numel():
            raise ValueError(f"reading must be floats of shape (k, d), got {tuple(given.shape)}")
        k, d = given.shape
        if classes and len(classes) != max(2, k):
            raise ValueError(f"{k} directions need {max(2, k)} classes or none, got {len(classes)}")
        parts = {
            "reading": _part("reading", given, given),
            "steering": _part("steering", steering, given),
            "offset": _part("offset", offset, given.new_zeros(k)),
            "scale": _part("scale", scale, given.new_ones(k)),
            "mean": _part("mean", mean, given.new_zeros(d)),
            "classes": tuple(classes),
            "site": Site.parse(site),
            "position": position,
            "name": name,
            "method": method,
            "model_name": model_name,
            "link": link,
            "source": dict(source or {}),
        }
        for part, value in parts.items():
            object.__setattr__(self, part, value)
        if not (self.scale > 0).all():
            raise ValueError(f"scale must be positive, got {self.scale.tolist()}")

    @property
    def k(self) -> int:
        """How many directions it has."""
        return len(self.reading)

    @property
    def d(self) -> int:
        """The width of the activations that it reads."""
        return self.reading.shape[1]

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same concept on another device or in another dtype, as in `Tensor.to`."""
        parts = ("reading", "steering", "offset", "scale", "mean")
        return replace(self, **{part: getattr(self, part).to(*args, **kwargs) for part in parts})

    def _check(self, what: str, own: Any, given: Any, force: bool) -> None:
        if not force and own and given and own != given:
            raise ValueError(
                f"{self!r} belongs to the {what} {str(own)!r}, not to {str(given)!r}: "
                "force=True says that this is meant"
            )

    def __repr__(self) -> str:
        return in_brief(self, self.k, self.d)

    def _repr_html_(self) -> str:
        facts = {"site": self.site, "directions": self.k, "width": self.d, "method": self.method}
        facts |= {"classes": ", ".join(map(str, self.classes)), "model": self.model_name}
        facts |= {"position": self.position, "fitted on": self.source.get("n_examples")}
        return as_table(f"Concept {self.name}", facts)


def _part(name: str, given: Any, default: Tensor) -> Tensor:
    value = default if given is None else torch.as_tensor(given).to(default)
    if value.ndim == 1 and default.ndim == 2:
        value = value[None]
    if value.shape != default.shape:
        raise ValueError(f"{name} must have shape {tuple(default.shape)}, got {tuple(value.shape)}")
    if not value.isfinite().all():
        raise ValueError(f"{name} has entries that are not finite")
    return value
