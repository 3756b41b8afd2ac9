"""Labelled activations at one site, checked, and the concept made of what was found in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.probes._concept import Concept, Link

_ROUNDING = 1e-13
"""Readings that vary less than this share of an activation's norm are rounding."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Activations x at a site in float64, and the number of each row's class in `classes`."""

    site: Site
    x: Float[Tensor, "example d"]
    codes: Int[Tensor, " example"]
    classes: tuple[Any, ...]
    dtype: torch.dtype
    source: Mapping[str, Any]

    @classmethod
    def of(cls, activations: Activations, site: Site | str | None) -> Labelled:
        """The labelled activations at a site.

        Raises:
            KeyError: the site was not captured.
            ValueError: several sites and none named, no labels, one class, values that are NaN or infinite,
                or the same in every row.
        """
        at = _only_site(activations) if site is None else activations.key(site)
        codes, classes = label_codes(activations)
        given = activations[at]
        x = as_float64(given.flatten(1))
        check_usable(x, at)
        dtype = given.dtype if given.dtype in (torch.float32, torch.float64) else torch.float32
        return cls(at, x, codes.to(x.device), classes, dtype, activations.source)

    def class_means(self) -> Float[Tensor, "class d"]:
        """The mean of each class."""
        member = torch.nn.functional.one_hot(self.codes, len(self.classes)).to(self.x)
        return (member / member.sum(0)).T @ self.x

    def concept(
        self,
        reading: Float[Tensor, "concept d"],
        steering: Float[Tensor, "concept d"],
        offset: Float[Tensor, " concept"],
        *,
        method: str,
        settings: Mapping[str, Any] | None = None,
        link: Link | None = None,
    ) -> Concept:
        """The concept with these directions, its scale and mean taken from the data.

        Raises:
            ValueError: a reading that is the same for every row.
        """
        scale = (self.x @ reading.T).std(0)
        if not (scale > _ROUNDING * reading.norm(dim=1) * self.x[0].norm()).all():
            raise ValueError(
                f"{method} finds no direction at {self.site} in which the classes differ: "
                "leave that site out, or capture at another position"
            )
        counts = torch.bincount(self.codes, minlength=len(self.classes)).tolist()
        tensors = {"reading": reading, "steering": steering, "offset": offset, "scale": scale}
        return Concept(
            **{part: value.to(self.dtype) for part, value in tensors.items()},
            mean=self.x.mean(0).to(self.dtype),
            classes=self.classes,
            site=self.site,
            position=self.source.get("position"),
            name="/".join(map(str, self.classes if len(self.classes) > 2 else self.classes[-1:])),
            method=method,
            model_name=self.source.get("model_name", ""),
            link=link,
            source={"n_examples": len(self.x), "class_counts": counts, "settings": dict(settings or {})},
        )


def as_float64(x: Tensor) -> Tensor:
    """The tensor in float64, on its device where that knows float64."""
    return x.detach().to("cpu" if x.device.type == "mps" else x.device).double()


def label_codes(activations: Activations) -> tuple[Int[Tensor, " example"], tuple[Any, ...]]:
    """The number of each row's class among the sorted classes, and these.

    Raises:
        TypeError: labels that cannot be sorted.
        ValueError: no labels, or one class only.
    """
    if activations.labels is None:
        raise ValueError("the activations have no labels: give Examples(texts, labels) to capture")
    try:
        classes = tuple(sorted(set(activations.labels)))
    except TypeError as error:
        raise TypeError("the labels cannot be sorted: make them all text or all numbers") from error
    if len(classes) < 2:
        raise ValueError(f"all labels are {classes[0]!r}: a concept needs examples of at least two classes")
    number = {label: code for code, label in enumerate(classes)}
    return torch.tensor([number[label] for label in activations.labels]), classes


def check_usable(x: Float[Tensor, "example d"], site: Site) -> None:
    """Refuse activations from which nothing can be learned.

    Raises:
        ValueError: values that are NaN or infinite, or the same in every row.
    """
    if not x.sum().isfinite():  # one pass, where isfinite of every entry takes ten times as long
        bad = (~x.isfinite()).any(1).nonzero().flatten()
        raise ValueError(
            f"{len(bad)} of {len(x)} rows at {site} are NaN or infinite, the first is row {bad[0].item()}: "
            "leave these rows out, or load the model with dtype=torch.float32"
        )
    if bool((x[0] == x[-1]).all()) and bool((x == x[0]).all()):
        raise ValueError(
            f"the activations at {site} are the same for every example: "
            "leave that site out, or capture at another position"
        )


def _only_site(activations: Activations) -> Site:
    if len(activations) > 1:
        raise ValueError(f"say which site: captured were {', '.join(map(str, activations.sites))}")
    return activations.sites[0]
