"""The picture of a hidden capability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conceptscope.probes._axes import given_or_new, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._hidden_capability_result import HiddenCapability

_STYLES = {
    "train": "k:",
    "naive": "C3-",
    "latent": "C0-",
    "overprompt": "C1-",
    "patch": "C2-",
    "random": "C7--",
}


def plot_hidden_capability(result: HiddenCapability, ax: Axes | None) -> Axes:
    """The shares by step, the threshold, and where the capability is hidden."""
    ax = given_or_new(ax)
    frame = result.to_frame()
    for name, style in _STYLES.items():
        if name in frame:
            ax.plot(frame["step"], frame[name], style, label=name)
    ax.axhline(result.threshold, color="0.8", linewidth=0.8, zorder=0)
    if result.hidden and result.since is not None:
        end = result.steps[-1] if result.t_naive is None else result.t_naive
        ax.axvspan(result.since, end, color="C0", alpha=0.1, label="hidden")
    ax.set_xlabel("training step")
    ax.set_ylabel("share of prompts with all concepts right")
    legend_beside(ax)
    return ax
