"""Activations at one site, read all at once or by blocks, and the concept made of what was found in them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._activations import check_activations
from conceptscope.hooks._stored import StoredActivations
from conceptscope.probes._concept import Concept, Link
from conceptscope.probes._spread import beyond_rounding

Block = tuple[Any, Float[Tensor, "row d"]]
"""What selects some rows, a slice or their numbers, and these rows."""


_BLOCK_BYTES = 1 << 23
"""Bytes of float64 that are read at a time."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The activations at a site, with all that is known about them.

    They are read where they are wanted: `x` holds all of them, `blocks` a few at a time.

    given: what stands in place of the activations, in float64.
    """

    site: Site
    activations: Activations
    given: Float[Tensor, "example d"] | None = None

    @classmethod
    def of(cls, activations: Activations, site: Site | str | None) -> Self:
        """The rows at a site, which may be left out when only one was captured.

        Raises:
            TypeError: what holds no activations.
            KeyError: the site was not captured.
            ValueError: several sites and none named.
        """
        check_activations(activations)
        return cls(activations.key(site), activations)

    @cached_property
    def x(self) -> Float[Tensor, "example d"]:
        """All rows in float64.

        Raises:
            ValueError: values that are NaN, infinite or the same in every row.
        """
        if self.given is not None:
            return self.given
        x = self._read(slice(None))
        for _ in _checked([(slice(None), x)], self.site, len(x)):
            pass
        return x

    def __len__(self) -> int:
        return self.activations.n_rows if self.given is None else len(self.given)

    @cached_property
    def first(self) -> Float[Tensor, " d"]:
        """The first row in float64."""
        return self._read(slice(1))[0]

    @property
    def d(self) -> int:
        """The width of a row."""
        return len(self.first)

    def blocks(self, order: Sequence[int] | None = None) -> Iterator[Block]:
        """The rows in float64, an even number at a time, and no fewer than the dimensions.

        The blocks are the same in memory and in a store, and so is all that is computed from them.

        order: the numbers of the rows in the order wanted.
        """
        step = 2 * math.ceil(max(self.d, _BLOCK_BYTES / (8 * self.d)) / 2)
        for first in range(0, len(self), step):
            if order is None:
                rows: slice | list[int] = slice(first, min(first + step, len(self)))
            else:
                rows = list(order[first : first + step])
            yield rows, self._read(rows)

    def _read(self, rows: slice | list[int]) -> Float[Tensor, "row d"]:
        if self.given is not None or "x" in self.__dict__:
            return self.x[rows]
        return as_float64(read_rows(self.activations, self.site, rows).flatten(1))

    def usable_blocks(self) -> Iterator[Block]:
        """The same in their order, which at the end are refused if nothing can be learned from them.

        Raises:
            ValueError: values that are NaN, infinite or the same in every row.
        """
        return _checked(self.blocks(), self.site, len(self))

    def check(self) -> None:
        """Refuse them if nothing can be learned from them.

        Raises:
            ValueError: values that are NaN, infinite or the same in every row.
        """
        for _ in self.usable_blocks():
            pass

    def spread(
        self, reading: Float[Tensor, "concept d"], mean: Float[Tensor, " d"]
    ) -> Float[Tensor, " concept"]:
        """The standard deviation of each reading, given the mean of the rows; zero where it is rounding."""
        squares = [(x @ reading.T - reading @ mean).square().sum(0) for _, x in self.blocks()]
        deviation = (torch.stack(squares).sum(0) / (len(self) - 1)).sqrt()
        return beyond_rounding(deviation, reading, self.first)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of a concept made of these rows: that of the activations, and at least float32."""
        given = read_rows(self.activations, self.site, slice(1)).dtype
        return given if given in (torch.float32, torch.float64) else torch.float32

    def make_concept(
        self,
        extractor: Any,
        reading: Float[Tensor, "concept d"],
        steering: Float[Tensor, "concept d"],
        offset: Float[Tensor, " concept"],
        *,
        method: str,
        classes: Sequence[Any] = (),
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        link: Link | None = None,
        source: Mapping[str, Any] | None = None,
        mean: Float[Tensor, " d"] | None = None,
        scale: Float[Tensor, " concept"] | None = None,
    ) -> Concept:
        """The concept with these directions.

        source: what else is to be said about where it came from, in numbers and text.
        mean, scale: those of the rows and of their readings, where they are known already.

        Raises:
            ValueError: a reading that is the same for every row.
        """
        mean = self.x.mean(0) if mean is None else mean
        scale = self.spread(reading, mean) if scale is None else scale
        if not scale.all():
            raise ValueError(
                f"{method} finds no direction at {self.site} in which the examples differ: "
                "leave that site out, or capture at another position"
            )
        about = self.activations.source
        tensors = {"reading": reading, "steering": steering, "offset": offset, "scale": scale}
        concept = Concept(
            **{part: value.to(self.dtype) for part, value in tensors.items()},
            mean=mean.to(self.dtype),
            classes=classes,
            site=self.site,
            position=about.get("position"),
            name=name,
            method=method,
            model_name=about.get("model_name", ""),
            link=link,
            source={
                "data": about.get("data", ""),
                "n_examples": len(self),
                "settings": dict(settings or {}),
                "conceptscope": version("conceptscope"),
                **(source or {}),
            },
        )
        object.__setattr__(concept, "fitted_by", (extractor, weakref.ref(self.activations)))
        return concept


def usable_rows(activations: Activations, site: Site) -> Float[Tensor, "example d"]:
    """The activations at a captured site in float64, on their device where that knows float64.

    Raises:
        ValueError: values that are NaN or infinite, or the same in every row.
    """
    return Rows(site, activations).x


def read_rows(activations: Activations, site: Site, rows: slice | list[int]) -> Tensor:
    """Some rows at a site: a view of those in memory, and those in a store read into memory of their own."""
    if not isinstance(activations, StoredActivations):
        return activations.at(site)[rows]
    chosen = activations[rows]
    (block,) = chosen.blocks(max(1, chosen.n_rows))
    read: Tensor = block.at(site)
    return read


def as_float64(x: Tensor) -> Tensor:
    """The tensor in float64, on its device where that knows float64."""
    return x.detach().to("cpu" if x.device.type == "mps" else x.device).double()


def _checked(blocks: Iterable[Block], site: Site, n: int) -> Iterator[Block]:
    """The blocks of n rows, which are refused when they have all been seen."""
    seen, bad, first, differ = 0, [], None, False
    for rows, x in blocks:
        yield rows, x
        if not x.sum().isfinite():  # one pass, where isfinite of every entry takes ten times as long
            bad += [seen + row for row in (~x.isfinite()).any(1).nonzero().flatten().tolist()]
        first = x[0].clone() if first is None else first
        differ = differ or not (torch.equal(x[-1], first) and bool((x == first).all()))
        seen += len(x)
    if bad:
        raise ValueError(
            f"{len(bad)} of {n} rows at {site} are NaN or infinite, the first is row {bad[0]}: "
            "leave these rows out, or load the model with dtype=torch.float32"
        )
    if not differ:
        raise ValueError(
            f"the activations at {site} are the same for every example: "
            "leave that site out, or capture at another position"
        )
