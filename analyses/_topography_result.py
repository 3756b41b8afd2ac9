"""A map of what a model computes over a latent space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class TopographyData:
    """Rows beside the map: their coordinates, the outputs for them as they are, and for their projections.

    agreement: the share of rows whose projection gives the same class; of numbers, the share of the outputs'
    variance that the projections give (R², below 0 where they are worse than the mean).
    """

    coordinates: Float[np.ndarray, "example direction"]
    values: Float[np.ndarray, " example"]
    projected: Float[np.ndarray, " example"]
    agreement: float


@dataclass(frozen=True, eq=False, repr=False)
class Topography:
    """What a function gives on a grid over directions; see `latent_topography`.

    axes: the coordinates of the grid along each direction; values: the outputs, one dimension a direction.
    Outputs that are classes are numbers among ``labels``, which is None of numbers.
    """

    axes: tuple[Float[np.ndarray, " point"], ...]
    values: Float[np.ndarray, "*grid"]
    labels: tuple[Any, ...] | None
    data: TopographyData | None = None

    @property
    def agreement(self) -> float | None:
        """How far the directions carry what the model computes of the data; None without data."""
        return None if self.data is None else self.data.agreement

    def slice(self, at: Mapping[int, float]) -> Topography:
        """The map at fixed coordinates along some directions, by their numbers: the nearest of the grid.

        Raises:
            KeyError: no such direction.
            ValueError: fewer than two directions would be left.
        """
        for number in at:
            if number not in range(len(self.axes)):
                raise KeyError(f"no direction {number!r}: there are 0 to {len(self.axes) - 1}")
        left = [number for number in range(len(self.axes)) if number not in at]
        if len(left) < 2:
            raise ValueError(f"a map needs two directions, and {len(left)} would be left: fix fewer")
        index = tuple(
            int(np.abs(axis - at[number]).argmin()) if number in at else slice(None)
            for number, axis in enumerate(self.axes)
        )
        data = self.data and replace(self.data, coordinates=self.data.coordinates[:, left])
        return Topography(tuple(self.axes[number] for number in left), self.values[index], self.labels, data)

    def to_frame(self) -> pd.DataFrame:
        """One row a point of the grid: x0, x1, ... and value, a number or a class."""
        import pandas as pd

        points = np.meshgrid(*self.axes, indexing="ij")
        columns = {f"x{number}": part.ravel() for number, part in enumerate(points)}
        flat = self.values.ravel()
        value = flat if self.labels is None else [self.labels[int(code)] for code in flat]
        return pd.DataFrame(columns | {"value": value})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The first two directions as a map, any others at the middle of their range, and the data on it.

        A row of data has the colour of what the model makes of the row itself: where that is not the colour
        around it, the map does not tell what the model does there.
        """
        from conceptscope.analyses._topography_plot import plot_topography

        return plot_topography(self, ax)

    def __repr__(self) -> str:
        size = " x ".join(str(len(axis)) for axis in self.axes)
        what = "numbers" if self.labels is None else f"{len(self.labels)} classes"
        rows = ""
        if self.data is not None:
            rows = f"; {len(self.data.values)} rows, agreement {self.data.agreement:.3f}"
        return f"Topography({size} points, {what}{rows})"

    def _repr_html_(self) -> str:
        import pandas as pd

        ends = [(f"x{n}", float(axis[0]), float(axis[-1]), len(axis)) for n, axis in enumerate(self.axes)]
        return table_html(repr(self), pd.DataFrame(ends, columns=["direction", "from", "to", "points"]))
