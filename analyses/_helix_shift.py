"""A number's activation moved as if it were another number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._helix_numbers import whole_numbers
from conceptscope.analyses._helix_result import NumberHelix
from conceptscope.hooks import AffineEdit, Intervention, Where
from conceptscope.hooks._positions import Position


def helix_shift(
    helix: NumberHelix,
    a: Any,
    b: Any,
    *,
    basis: str = "helix",
    positions: Position = "last",
    force: bool = False,
) -> Intervention:
    """Move activations from number a to number b along the helix: h + C (B(b) - B(a)).

    a, b: a number, or one for each prompt in their order.
    basis: "polynomial", "line" and "circles" are controls, from a's point of that basis to b's; the step is
        brought to the length of the helix's, so that only the direction differs. "means" moves from one
        number's mean activation to the other's, as far as that is.
    positions: where the number was read when the helix was fitted: the last token of the number.
    force: allows another model.

    Raises:
        KeyError: no such basis.
        TypeError: numbers that are not whole.
        ValueError: numbers that were not fitted, as many of a as of b, and when the model runs a prompt
            without a number, or activations of another width.

    Source: arXiv 2502.00873; the controls of equal length are this project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> a = torch.arange(60.0)
    >>> wheel = torch.stack([(torch.pi * a / 6).cos(), (torch.pi * a / 6).sin(), a / 30], 1)
    >>> found = cs.fit_number_helix(cs.Activations({"embed": wheel}, a.int().tolist()), periods=[12])
    >>> cs.helix_shift(found, 3, 9)
    Intervention('helix shift', 'embed', positions='last')
    """
    steps = number_steps(helix, a, b, basis)
    model_name = "" if force else str(helix.source.get("model_name", ""))
    if len(steps) == 1 and np.ndim(a) == np.ndim(b) == 0:
        edit: Any = AffineEdit(steps[0], model_name=model_name)
    else:
        edit = _StepForEach(steps, model_name)
    return Intervention(helix.site, edit, positions, name="helix shift")


def number_steps(helix: NumberHelix, a: Any, b: Any, basis: str) -> Float[Tensor, "example d"]:
    """The steps from each a to its b along a basis, as long as those along the helix; those of means as is.

    Raises:
        ValueError: as many of a as of b are needed.
    """
    first, last = (whole_numbers(np.atleast_1d(value)) for value in (a, b))
    if len(first) != len(last) and 1 not in (len(first), len(last)):
        raise ValueError(f"{len(first)} numbers to move from and {len(last)} to move to: give one each")
    other = helix.predict(last, basis) - helix.predict(first, basis)
    if basis in ("helix", "means"):
        return other
    own = helix.predict(last) - helix.predict(first)
    lengths: Tensor = torch.linalg.vector_norm(other, dim=1, keepdim=True)
    wanted: Tensor = torch.linalg.vector_norm(own, dim=1, keepdim=True)
    return other * torch.where(lengths > 0, wanted / lengths, 0)


@dataclass(frozen=True, eq=False)
class _StepForEach:
    """Adds each prompt's own step."""

    steps: Float[Tensor, "example d"]
    model_name: str

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        """The moved rows.

        Raises:
            ValueError: a prompt without a number, or activations of another width.
        """
        n, d = self.steps.shape
        if int(where.example.max()) >= n:
            raise ValueError(
                f"prompt {int(where.example.max())} has no numbers: {n} were given, one for each prompt"
            )
        if x.shape[1:].numel() != d:
            raise ValueError(f"a helix of width {d} cannot act on activations of shape {tuple(x.shape[1:])}")
        return x + self.steps.to(x)[where.example.to(x.device)].view(x.shape)
