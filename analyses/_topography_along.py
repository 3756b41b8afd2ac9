"""What a model computes along a curve of a latent space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._latent_outputs import LatentFunction, outputs_of, together
from conceptscope.analyses._reduced_library import finite_matrix, finite_values
from conceptscope.hooks._rows import check_size
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_FEWEST = 2


@dataclass(frozen=True, eq=False, repr=False)
class CurveTopography:
    """What a function gives along a curve; see `topography_along`.

    at: where on the curve; values: the outputs there, of classes their numbers among ``labels``.
    """

    at: Float[np.ndarray, " point"]
    values: Float[np.ndarray, " point"]
    labels: tuple[Any, ...] | None

    def to_frame(self) -> pd.DataFrame:
        """One row a point: at, value."""
        import pandas as pd

        value = self.values if self.labels is None else [self.labels[int(code)] for code in self.values]
        return pd.DataFrame({"at": self.at, "value": value})

    def plot(self, ax: Axes | None = None) -> Axes:
        """The outputs along the curve."""
        from conceptscope.probes._axes import BLUE, given_or_new

        ax = given_or_new(ax)
        style = "-" if self.labels is None else "."
        ax.plot(self.at, self.values, style, color=BLUE)
        if self.labels is not None:
            ax.set_yticks(range(len(self.labels)), [str(label) for label in self.labels])
        ax.set(xlabel="along the curve", ylabel="output")
        ax.grid(alpha=0.3)
        return ax

    def __repr__(self) -> str:
        what = "numbers" if self.labels is None else f"{len(self.labels)} classes"
        return f"CurveTopography({len(self.at)} points from {self.at[0]:.3g} to {self.at[-1]:.3g}, {what})"

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.to_frame())


def topography_along(
    function: LatentFunction,
    curve: Float[Tensor, "point d"],
    *,
    at: Any = None,
    batch_size: int = 4096,
) -> CurveTopography:
    """What a function gives at the points of a curve, such as a helix that was fitted to number embeddings.

    function: as that of `latent_topography`. at: where each point is, such as the number it stands for;
    None is the length of the curve up to it.

    Raises:
        ValueError: fewer than two points; numbers that are not finite; another number of places than points;
            a function that does not give one output for each row.

    >>> import conceptscope as cs
    >>> import torch
    >>> line = torch.linspace(0, 1, 3)[:, None] * torch.tensor([3.0, 4.0])
    >>> cs.topography_along(lambda x: x.sum(1), line).to_frame()["at"].tolist()
    [0.0, 2.5, 5.0]
    """
    check_size("batch_size", batch_size)
    points = finite_matrix("curve", curve)
    if len(points) < _FEWEST:
        raise ValueError(f"a curve has two points or more, got {len(points)}")
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    where = np.concatenate([[0.0], steps.cumsum()]) if at is None else finite_values("at", at)
    if len(where) != len(points):
        raise ValueError(f"there are {len(where)} places for {len(points)} points of the curve")
    (found,) = together([outputs_of(function, torch.split(torch.as_tensor(curve), batch_size))])
    return CurveTopography(where, found.values, found.labels)
