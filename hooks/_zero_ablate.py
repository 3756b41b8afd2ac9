"""Zero ablation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks._affine_edit import AffineEdit
from conceptscope.hooks._interventions import Intervention
from conceptscope.hooks._positions import Position
from conceptscope.hooks._running import Where
from conceptscope.hooks._site import Site


def zero_ablate(site: Site | str, *, positions: Position = "all") -> Intervention:
    """An intervention after which all activations at a site are zero: at "z.6.3", one head writes nothing.

    Zero is often far from any activation; `mean_ablate` and `resample_ablate` stay nearer to what occurs.
    To bake it, give its width: ``mean_ablate(torch.zeros(1, d), site)`` does the same.

    Raises:
        TypeError: a site or positions of the wrong type.
        ValueError: an unknown kind of site or an unknown position.

    >>> import conceptscope as cs
    >>> cs.zero_ablate("z.6.3")
    Intervention('zero ablation', 'z.6.3', positions='all')
    """
    return Intervention(site, _Zeros(), positions, name="zero ablation")


class _Zeros:
    """Makes all rows zero, however wide."""

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        return torch.zeros_like(x)

    @property
    def affine(self) -> AffineEdit:
        """None that could be folded without knowing how wide a row is.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "zero ablation fits any width, and to be baked it needs one: "
            "mean_ablate(torch.zeros(1, d), site) does the same and can be baked"
        )
