"""The verb: what does a model compute over some directions of a latent space?"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._latent_outputs import LatentFunction, outputs_of, together
from conceptscope.analyses._latent_plane import LatentPlane
from conceptscope.analyses._topography_result import Topography, TopographyData
from conceptscope.hooks._rows import check_size

_MOST_POINTS = 2_000_000
_FEWEST = 2


def latent_topography(
    function: LatentFunction,
    mean: Float[Tensor, " d"],
    directions: Float[Tensor, "direction d"],
    *,
    data: Float[Tensor, "example d"] | None = None,
    grid: int = 120,
    margin: float = 0.5,
    batch_size: int = 4096,
) -> Topography:
    """What a function gives at mean + sum of x_i times direction i, x on a grid over two or more directions.

    function: from rows of the latent space to one number or one class each, all other inputs fixed: a part of
        a network, `target_at` for a target of a language model, or `rest_of_model` for its classes.
    directions: need be neither of length 1 nor at right angles; x is in units of their lengths.
    data: rows of the space, such as those that the directions were found on. The grid then covers their
        coordinates, and ``agreement`` says how much of what the function makes of the rows themselves is left
        when they are projected: only where that is high does the map show what the model does.
    grid: how many points a direction. margin: the share of the range by which the grid goes beyond the data
        at each end, or without data beyond -1 to 1.

    Raises:
        ValueError: fewer than two directions, or some that depend on one another; a mean or data of another
            width; numbers that are not finite; a grid of fewer than two points a direction, or of more than
            2,000,000 in all; a negative margin; a function that does not give one output for each row.

    Source: arXiv 2405.17425, section 4.2; agreement is this project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> found = cs.latent_topography(lambda x: x.prod(1), torch.zeros(2), torch.eye(2), grid=3)
    >>> found.values.tolist()
    [[4.0, -0.0, -4.0], [-0.0, 0.0, 0.0], [-4.0, 0.0, 4.0]]
    """
    plane = LatentPlane.of(mean, directions)
    check_size("batch_size", batch_size)
    _check_grid(len(plane.directions), grid, margin)
    coordinates = None if data is None else plane.coordinates(data)
    axes = _axes(len(plane.directions), coordinates, grid, margin)
    points = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], 1)
    parts = [outputs_of(function, plane.batches(points, batch_size))]
    if data is not None and coordinates is not None:
        parts.append(outputs_of(function, torch.split(torch.as_tensor(data), batch_size)))
        parts.append(outputs_of(function, plane.batches(coordinates, batch_size)))
    found, *beside = together(parts)
    seen = None
    if beside and coordinates is not None:
        own, projected = beside
        seen = TopographyData(coordinates, own.values, projected.values, own.agreement(projected))
    return Topography(axes, found.values.reshape((grid,) * len(axes)), found.labels, seen)


def _check_grid(n_directions: int, grid: int, margin: float) -> None:
    if n_directions < _FEWEST:
        raise ValueError(f"a map needs two directions, got {n_directions}: topography_along follows one")
    if isinstance(grid, bool) or not isinstance(grid, int) or grid < _FEWEST:
        raise ValueError(f"grid must be a whole number of points a direction, 2 or more; got {grid!r}")
    if grid**n_directions > _MOST_POINTS:
        fits = int(_MOST_POINTS ** (1 / n_directions) + 1e-9)
        raise ValueError(
            f"{grid} points along each of {n_directions} directions are {grid**n_directions:,}, and "
            f"{_MOST_POINTS:,} can be computed: take grid={fits} or fewer directions"
        )
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin must be 0 or more, as a share of the range; got {margin!r}")


def _axes(
    n_directions: int,
    coordinates: Float[np.ndarray, "example direction"] | None,
    grid: int,
    margin: float,
) -> tuple[Float[np.ndarray, " point"], ...]:
    around = np.array([[-1.0], [1.0]]).repeat(n_directions, 1) if coordinates is None else coordinates
    low, high = around.min(0), around.max(0)
    reach = np.where(high > low, high - low, 1.0)
    return tuple(
        np.linspace(a - margin * r, b + margin * r, grid) for a, b, r in zip(low, high, reach, strict=True)
    )
