"""Activations from another run, for an intervention to put in place of those of this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks._activations import Activations
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._noted_position import noted_position
from conceptscope.hooks._positions import Position
from conceptscope.hooks._site import Site


@dataclass(frozen=True, eq=False)
class SourceRows:
    """The rows at a site; ``example`` counts their examples from 0 in the order of their first rows.

    position: each row's token, None where a row stands for its whole example. rule: the position they were
    captured at, None if unknown. model_name: the model that they may go into, "" for any.
    """

    site: Site
    rows: Float[Tensor, row * d]
    example: Int[Tensor, " row"]
    position: Int[Tensor, " row"] | None = None
    rule: Position | None = None
    model_name: str = ""

    @classmethod
    def of(cls, source: Any, site: Site | str | None, *, force: bool = False) -> SourceRows:
        """The rows of Activations, at their only site where none is named, or of a tensor (example, d).

        Raises:
            KeyError: a site that was not captured.
            TypeError: something else, or a tensor that is not of floats.
            ValueError: several sites or a tensor, and no site named; a tensor of another shape.
        """
        if isinstance(source, Activations):
            at = source.key(site)
            example = torch.tensor(clusters(source.n_rows, source.example.tolist()))
            rule = noted_position(str(source.source.get("position", "")))
            name = "" if force else source.source.get("model_name", "")
            position = None if rule == "mean" else source.position
            return cls(at, source.at(at), example, position, rule, name)
        if site is None:
            raise ValueError("a tensor does not say where it belongs: name the site, as in 'resid_post.3'")
        rows = Activations({site: source}).at(site)
        return cls(Site.parse(site), rows, torch.arange(len(rows)))

    @property
    def n_examples(self) -> int:
        """How many examples the rows are of."""
        return int(self.example.max()) + 1

    def like(self, index: Int[Tensor, " row"], x: Float[Tensor, row * d]) -> Float[Tensor, row * d]:
        """The rows of these numbers, where and as x is.

        Raises:
            ValueError: x is of another shape.
        """
        check_shape(self.rows[0], x, self.site)
        return self.rows[index.to(self.rows.device)].to(x)


def check_shape(one: Float[Tensor, "*d"], x: Float[Tensor, row * d], site: Site) -> None:
    """Refuse what cannot take the place of a row of x.

    Raises:
        ValueError: it is of another shape.
    """
    if one.shape != x.shape[1:]:
        raise ValueError(
            f"activations of shape {tuple(one.shape)} cannot take the place of those at {site}, "
            f"which have shape {tuple(x.shape[1:])}"
        )
