"""Some directions of a latent space, and coordinates along them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_RANK = 1e-8


@dataclass(frozen=True, eq=False)
class LatentPlane:
    """mean + x @ directions, in float64; rows are given in the dtype and on the device of the mean."""

    mean: Tensor
    directions: Float[Tensor, "direction d"]

    @classmethod
    def of(cls, mean: Any, directions: Any) -> LatentPlane:
        """Checked.

        Raises:
            ValueError: other shapes than [d] and [direction, d], numbers that are not finite, or directions
                that depend on one another.
        """
        centre, along = torch.as_tensor(mean), torch.as_tensor(directions)
        if centre.ndim != 1 or along.ndim != 2 or along.shape[1] != len(centre):
            raise ValueError(
                "the mean must be one row and the directions rows of its width; their shapes are "
                f"{tuple(centre.shape)} and {tuple(along.shape)}"
            )
        centre = centre if centre.is_floating_point() else centre.float()
        wide = along.detach().cpu().double()
        if not centre.isfinite().all() or not wide.isfinite().all():
            raise ValueError("the mean and the directions must be finite numbers")
        lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        if not lengths.all() or torch.linalg.svdvals(wide / lengths)[-1] < _RANK:
            raise ValueError(
                "the directions depend on one another, or one is zero: leave out what is too many"
            )
        return cls(centre.detach(), wide)

    def rows(self, coordinates: Float[np.ndarray, "point direction"]) -> Float[Tensor, "point d"]:
        """The points of the latent space."""
        found = self.mean.cpu().double() + torch.from_numpy(coordinates) @ self.directions
        return found.to(self.mean.device, self.mean.dtype)

    def batches(
        self, coordinates: Float[np.ndarray, "point direction"], size: int
    ) -> Iterator[Float[Tensor, "point d"]]:
        """The same, so many at a time."""
        for start in range(0, len(coordinates), size):
            yield self.rows(coordinates[start : start + size])

    def coordinates(self, data: Any) -> Float[np.ndarray, "example direction"]:
        """Those of the points of the plane that are nearest to some rows.

        Raises:
            ValueError: rows of another width, no rows, or numbers that are not finite.
        """
        rows = torch.as_tensor(data)
        if rows.ndim != 2 or rows.shape[1] != len(self.mean) or not len(rows):
            raise ValueError(
                f"data must be rows of width {len(self.mean)}, as the mean; the shape is {tuple(rows.shape)}"
            )
        if not rows.isfinite().all():
            raise ValueError("data must be finite numbers: leave other rows out")
        away = rows.detach().cpu().double() - self.mean.cpu().double()
        found: Float[np.ndarray, "example direction"] = (away @ torch.linalg.pinv(self.directions)).numpy()
        return found
