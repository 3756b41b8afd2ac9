"""The picture of interactions: the strongest as bars, and how few there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conceptscope.probes._axes import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._found_effects import FoundEffects

_SHOWN = 10


def plot_interactions(found: FoundEffects, ax: Axes | None) -> Axes:
    """Bars for the strongest effects, hatched where they are OR, faint where they are not above the noise.

    On a new figure the sparsity curve of all effects stands beside them.
    """
    shown = found.strongest(_SHOWN)
    if ax is None:
        ax, beside = _two_axes(1.4 + 0.28 * max(len(shown), 6))
        plot_sparsity(found, beside)
    values = [one.value for one in shown]
    bars = ax.barh(range(len(shown)), values, color=[ORANGE if v > 0 else BLUE for v in values], alpha=0.85)
    for bar, one in zip(bars, shown, strict=True):
        if one.kind == "or":
            bar.set_hatch("///")
            bar.set_edgecolor("white")
        if not one.is_above_noise:
            bar.set_alpha(0.3)
    ax.set_yticks(range(len(shown)), [one.name for one in shown])
    ax.invert_yaxis()
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_xlabel(f"effect on {found.target}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def plot_sparsity(found: FoundEffects, ax: Axes) -> Axes:
    """The magnitudes of all effects in their order, as shares of the greatest; salient ones come first."""
    magnitudes = np.sort(found.magnitudes)[::-1]
    salient = len(found.salient())
    if len(magnitudes) and magnitudes[0]:
        ax.plot(np.arange(1, len(magnitudes) + 1), magnitudes / magnitudes[0], color=GREY)
    ax.axvline(max(salient, 1), color=ORANGE, linewidth=0.8, linestyle="--")
    ax.set_xscale("log")
    ax.set_title(f"{salient} salient of {len(magnitudes)}", fontsize="small")
    ax.set_xlabel("interactions in their order", fontsize="small")
    ax.set_ylabel("share of the greatest", fontsize="small")
    ax.tick_params(labelsize="small")
    return ax


def _two_axes(height: float) -> tuple[Axes, Axes]:
    import matplotlib.pyplot as plt

    shares = {"width_ratios": (3, 1.2)}
    _, (left, right) = plt.subplots(1, 2, figsize=(9, height), layout="constrained", gridspec_kw=shares)
    return left, right
