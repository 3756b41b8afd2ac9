"""What each principal component of the last hidden state contributes to an output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._reduced_library import finite_matrix, finite_values
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class ReadoutContributions:
    """A readout of hidden states, taken apart along their principal components.

    contributions: (h - mean) v_i (v_i . w), in the output's unit; with ``constant``, the output of the mean,
    they add up to the output. directions: the v_i, the greatest variance first; variance: the share of each.
    error: the rms of the output less the sum of components 0 to i, and of the truth less that sum where the
    truth was given.
    """

    contributions: Float64[Tensor, "example component"]
    directions: Float64[Tensor, "component d"]
    mean: Float64[Tensor, " d"]
    constant: float
    variance: tuple[float, ...]
    error: tuple[float, ...]
    error_to_truth: tuple[float, ...] | None

    def to_frame(self) -> pd.DataFrame:
        """One row a component: variance, contribution (its standard deviation), error, error_to_truth."""
        import pandas as pd

        spread = self.contributions.std(0, correction=0).tolist()
        columns = {"variance": self.variance, "contribution": spread, "error": self.error}
        frame = pd.DataFrame(columns | {"error_to_truth": self.error_to_truth})
        return frame.rename_axis("component")

    def plot(self, ax: Axes | None = None) -> Axes:
        """The error that is left by the number of components that are kept."""
        from conceptscope.probes._axes import BLUE, ORANGE, given_or_new

        ax = given_or_new(ax, width=5)
        at = range(1, len(self.error) + 1)
        ax.plot(at, self.error, "o-", color=BLUE, markersize=3, label="to the output")
        if self.error_to_truth is not None:
            ax.plot(at, self.error_to_truth, "o-", color=ORANGE, markersize=3, label="to the truth")
        ax.set(xlabel="components kept", ylabel="rms error", yscale="log")
        ax.grid(axis="y", alpha=0.3)
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        n, k = self.contributions.shape
        return (
            f"ReadoutContributions({k} components, {n} examples; the first holds {self.variance[0]:.1%} of "
            f"the variance and leaves an error of {self.error[0]:.3g})"
        )

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.to_frame().reset_index())


def readout_contributions(
    hidden: Float[Tensor, "example d"],
    weights: Float[Tensor, " d"],
    bias: float = 0.0,
    *,
    y: Any = None,
    components: int | None = None,
) -> ReadoutContributions:
    """What a linear readout takes from each principal component of what it is applied to.

    weights, bias: of the output. y: the true values, in the output's unit. components: how many are kept;
    None is all that the rows span.

    A component of little variance may contribute much: the order is that of the variance.

    Raises:
        ValueError: hidden states that are no matrix of finite numbers, or all the same; weights of another
            width; another number of true values than rows; components that are not a whole number from 1
            to the rows' rank.

    Source: arXiv 2405.17425, section 5.

    >>> import conceptscope as cs
    >>> import torch
    >>> hidden = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> cs.readout_contributions(hidden, torch.tensor([1.0, 10.0])).error
    (7.0710678118654755, 0.0)
    """
    rows = finite_matrix("hidden", hidden)
    w = finite_values("weights", weights)
    if len(w) != rows.shape[1]:
        raise ValueError(f"there are {len(w)} weights for hidden states of width {rows.shape[1]}")
    truth = None if y is None else finite_values("y", y)
    if truth is not None and len(truth) != len(rows):
        raise ValueError(f"there are {len(truth)} true values for {len(rows)} rows")
    mean = rows.mean(0)
    _, lengths, directions = np.linalg.svd(rows - mean, full_matrices=False)
    kept = _kept(components, lengths, max(rows.shape))
    parts = (rows - mean) @ directions[:kept].T * (directions[:kept] @ w)
    constant = float(mean @ w + bias)
    sums = constant + parts.cumsum(1)
    output = rows @ w + bias
    return ReadoutContributions(
        torch.from_numpy(parts),
        torch.from_numpy(directions[:kept].copy()),
        torch.from_numpy(mean),
        constant,
        tuple((np.square(lengths) / np.square(lengths).sum())[:kept].tolist()),
        _rms(sums, output),
        None if truth is None else _rms(sums, truth),
    )


def _kept(components: int | None, lengths: Float[np.ndarray, " component"], longest: int) -> int:
    rank = int((lengths > lengths[0] * longest * np.finfo(float).eps).sum())
    if rank == 0:
        raise ValueError("all hidden states are the same: they have no components")
    if components is None:
        return rank
    whole = isinstance(components, int) and not isinstance(components, bool)
    if not whole or not 1 <= components <= rank:
        raise ValueError(f"components must be None or a whole number from 1 to {rank}, got {components!r}")
    return components


def _rms(
    sums: Float[np.ndarray, "example component"], wanted: Float[np.ndarray, " example"]
) -> tuple[float, ...]:
    found: list[float] = np.sqrt(np.square(sums - wanted[:, None]).mean(0)).tolist()
    return tuple(found)
