"""The picture of readings along texts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from conceptscope.probes._axes import BLUE, GREEN, GREY, ORANGE, given_or_new, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.probes._readings import Readings

_LABELLED = 60
"""With more tokens than this, they are numbered."""


def plot_readings(readings: Readings, ax: Axes | None) -> Axes:
    """A line for each concept; where the model wrote, texts are laid side by side at the prompts' ends."""
    import matplotlib as mpl
    from matplotlib.ticker import MaxNLocator

    frame = readings.to_frame()
    wrote = bool((frame["step"] > 0).any())
    if wrote:
        ends = frame[frame["step"] == 0].groupby("example")["position"].max()
        frame["position"] -= frame["example"].map(ends)
    single = readings.n_examples == 1
    named = single and len(frame) <= _LABELLED
    ax = given_or_new(ax, width=max(7.0, 0.25 * len(frame)) if named else 7.0)
    colours = [BLUE, ORANGE, GREEN, *mpl.color_sequences["tab10"][4:]]
    for name, colour in zip(readings.names, itertools.cycle(colours), strict=False):
        if not single:
            for _, one in frame.groupby("example"):
                ax.plot(one["position"], one[name], color=colour, alpha=0.4, linewidth=0.8)
        mean = frame.groupby("position")[name].mean()
        ax.plot(mean.index, mean, color=colour, linewidth=2, label=name)
    ax.axhline(0, color=GREY, linewidth=0.8)
    if wrote:
        ax.axvline(0.5, color=GREY, linestyle=":", label="the model writes")
    if named:
        labels = [token.strip() or repr(token) for token in readings.tokens]
        ax.set_xticks(frame["position"], labels, rotation=90)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("token, counted from the prompt's last" if wrote and not named else "token")
    ax.set_ylabel("reading, in standard deviations")
    legend_beside(ax)
    return ax
