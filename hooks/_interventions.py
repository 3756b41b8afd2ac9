"""What is done to an activation, where, and at which tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks._affine_edit import AffineEdit
from conceptscope.hooks._positions import Position, check_position
from conceptscope.hooks._running import Selection, Where
from conceptscope.hooks._site import Site

Edit = Callable[[Float[Tensor, "row *d"], Where], Float[Tensor, "row *d"]]


@dataclass(frozen=True, eq=False)
class Intervention:
    """An edit of the activations at a site, at the tokens that ``positions`` selects.

    ``edit(x, where)`` gets the selected activations, [row, d], and which tokens they are, and returns as
    many of the same shape; ``x`` is its own to change. At a head's site rows are [row, d_head], and at "z"
    without a head [row, head, d_head].

    positions: "all" (the prompt's tokens without the special ones, and the generated ones), "prompt",
    "generated", "last", "first", an index, a compiled regular expression, "span", a chat role, or several
    words joined with |; resolved against the prompt without its special tokens.

    An edit with an attribute ``affine``, an AffineEdit of the same effect, can be baked (`bake`).

    Raises:
        TypeError: the edit is not callable, or the site or the positions are of the wrong type.
        ValueError: an unknown kind of site or an unknown position.

    >>> import conceptscope as cs
    >>> cs.Intervention("resid_post.3", lambda x, where: 0 * x, positions="last|generated")
    Intervention('resid_post.3', positions='last|generated')
    """

    site: Site | str
    edit: Edit
    positions: Position = "all"
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "site", Site.parse(self.site))
        if not callable(self.edit):
            raise TypeError(f"an edit is a function of (x, where), got {self.edit!r}")
        check_position(self.positions, for_capture=False)

    def parts(self) -> list[Intervention]:
        """What `intervene` puts in its place, made anew for each context; mostly itself."""
        return [self]

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Intervention({name}{str(self.site)!r}, positions={self.positions!r})"


def add_vector(site: Site | str, vector: Any, positions: Position = "all") -> Intervention:
    """Add a vector, in activation units, to the activations at a site.

    vector: [d]; at "z" without a head [head, d_head].

    Raises:
        ValueError: the vector does not have the shape of one activation there (when the model runs), or is
            not finite.

    >>> import conceptscope as cs
    >>> import torch
    >>> cs.add_vector("resid_post.3", torch.ones(64))
    Intervention('add', 'resid_post.3', positions='all')
    """
    given = torch.as_tensor(vector)
    if not given.isfinite().all():
        raise ValueError(f"the vector for {site} has entries that are not finite")
    edit = _Addition(AffineEdit(given.flatten()), given.shape, str(site))
    return Intervention(site, edit, positions, name="add")


@dataclass(frozen=True, eq=False)
class _Addition:
    """Adds a vector of this shape."""

    affine: AffineEdit
    shape: torch.Size
    site: str

    def __call__(self, x: Tensor, where: Where) -> Tensor:
        if self.shape != x.shape[1:]:
            raise ValueError(
                f"a vector of shape {tuple(self.shape)} cannot be added at {self.site}, "
                f"where an activation has shape {tuple(x.shape[1:])}"
            )
        return self.affine(x, where)


def apply(
    intervention: Intervention, x: Float[Tensor, "batch position *d"], selection: Selection, head: int | None
) -> Float[Tensor, "batch position *d"]:
    """A new tensor with the selected rows edited and every other row bit for bit as it was.

    Raises:
        TypeError: the edit did not return a tensor.
        ValueError: it returned another shape.
    """
    part = x if head is None else x[:, :, head]
    flat = part.reshape(-1, *part.shape[2:])
    given = flat.clone() if selection.rows is None else flat.index_select(0, selection.rows)
    edited = checked_edit(intervention, intervention.edit(given, selection.where), given).to(x)
    if selection.rows is not None:
        edited = flat.index_copy(0, selection.rows, edited)
    edited = edited.reshape(part.shape)
    if head is None:
        return edited
    whole = x.clone()
    whole[:, :, head] = edited
    return whole


def checked_edit(intervention: Intervention, edited: Any, given: Tensor) -> Tensor:
    """What an edit returned, which must be like what it was given.

    Raises:
        TypeError: it is no tensor.
        ValueError: it is of another shape.
    """
    if not isinstance(edited, Tensor):
        raise TypeError(
            f"the edit of {intervention} must return a tensor of shape {tuple(given.shape)}, "
            f"it returned {type(edited).__name__}"
        )
    if edited.shape != given.shape:
        raise ValueError(
            f"the edit of {intervention} must return the shape it got, {tuple(given.shape)}, "
            f"it returned {tuple(edited.shape)}"
        )
    return edited
