"""The edit that is an affine map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks._running import Where


@dataclass(frozen=True, eq=False)
class AffineEdit:
    """The edit that makes x + up (down x) + constant of each row x; `bake` can fold it into weights.

    constant: [d]; up: [d, rank] and down: [rank, d], or neither, and a constant is added. A row with a head
    axis is taken as one vector, head by head. model_name: the model that it is meant for, "" for any.

    Raises:
        ValueError: parts of other shapes, or with entries that are not finite.

    >>> import conceptscope as cs
    >>> import torch
    >>> halved = cs.AffineEdit(torch.zeros(2), up=torch.tensor([[-0.5], [0]]), down=torch.tensor([[1.0, 0]]))
    >>> halved(torch.tensor([[4.0, 4.0]]))
    tensor([[2., 4.]])
    """

    constant: Float[Tensor, " d"]
    up: Float[Tensor, "d rank"] | None = None
    down: Float[Tensor, "rank d"] | None = None
    model_name: str = ""
    _held: dict[Any, tuple[Tensor, ...]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("constant", "up", "down"):
            given = getattr(self, part)
            if given is not None:
                object.__setattr__(self, part, torch.as_tensor(given).detach().clone())
        up, down = (None if part is None else tuple(part.shape) for part in (self.up, self.down))
        if self.constant.ndim != 1 or not self._fits(up, down):
            raise ValueError(
                f"expected a constant [d], up [d, rank] and down [rank, d], got the shapes "
                f"{tuple(self.constant.shape)}, {up} and {down}"
            )
        if not all(part.isfinite().all() for part in self._parts()):
            raise ValueError("the affine edit has entries that are not finite")

    @property
    def d(self) -> int:
        """The width of the activations that it edits."""
        return self.constant.shape[0]

    @property
    def affine(self) -> AffineEdit:
        """Itself: where an edit has an attribute of this name, that is the affine map that it makes."""
        return self

    def factors(self) -> tuple[Float[Tensor, "d rank"], Float[Tensor, "rank d"], Float[Tensor, " d"]]:
        """up, down and the constant in float64 on the CPU, with rank 0 where only a constant is added."""
        up = self.constant.new_zeros(self.d, 0) if self.up is None else self.up
        down = self.constant.new_zeros(0, self.d) if self.down is None else self.down
        return up.cpu().double(), down.cpu().double(), self.constant.cpu().double()

    def __call__(self, x: Float[Tensor, row * d], where: Where | None = None) -> Float[Tensor, row * d]:
        """The changed rows.

        Raises:
            ValueError: rows of another width.
        """
        if x.shape[1:].numel() != self.d:
            raise ValueError(
                f"an affine edit of width {self.d} cannot act on activations of shape {tuple(x.shape[1:])}"
            )
        if self.up is None:
            (constant,) = self._parts_like(x)
            return x + (constant if x.dim() == 2 else constant.view(x.shape[1:]))
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        constant, up, down = self._parts_like(wide)
        rows = wide.flatten(1)
        return (rows + (constant + (rows @ down.T) @ up.T)).to(x.dtype).view(x.shape)

    def _fits(self, up: Any, down: Any) -> bool:
        return up is down is None or (
            None not in (up, down) and len(up) == 2 and up[0] == self.d and down == up[::-1]
        )

    def _parts(self) -> tuple[Tensor, ...]:
        return tuple(part for part in (self.constant, self.up, self.down) if part is not None)

    def _parts_like(self, x: Tensor) -> tuple[Tensor, ...]:
        key = (x.device, x.dtype)
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = tuple(part.to(*key) for part in self._parts())
        return held
