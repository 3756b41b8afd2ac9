"""An intervention on some rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from conceptscope.hooks import Intervention, Where
from conceptscope.hooks._interventions import checked_edit


def masked(intervention: Intervention, acts: Bool[Tensor, " row"]) -> Intervention:
    """The intervention on some rows of a batch that holds one prompt many times.

    It sees what it would see if each row ran by itself, the prompt being the same example in all of them.
    """
    edit = _Masked(intervention, acts)
    return Intervention(intervention.site, edit, intervention.positions, intervention.name)


@dataclass(frozen=True, eq=False)
class _Masked:
    """Changes the tokens of some rows; the selected tokens are row after row, as many in each."""

    intervention: Intervention
    acts: Bool[Tensor, " row"]

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        """x with these rows edited."""
        each = len(x) // len(self.acts)
        tokens = self.acts.to(x.device).repeat_interleave(each).nonzero()[:, 0]
        given = x.index_select(0, tokens)
        there = Where(*(part[tokens.to(part.device)] for part in (where.example, where.position, where.step)))
        edited = checked_edit(self.intervention, self.intervention.edit(given, there), given)
        return x.index_copy(0, tokens, edited.to(x))
