"""The picture of what steering does: effect against strength, with the control."""

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from conceptscope._flips import Flips
from conceptscope._pictures import blank

OWN, CONTROL = "#1f5fa8", "#8a8a8a"


def plot_flips(measured: Flips, title: str) -> Axes:
    """Two lines against strength: the concept's, and the random directions' mean with their middle 80 %."""
    axes = blank()
    axes.plot(
        measured.strengths, measured.own, color=OWN, marker="o", label="along the concept", clip_on=False
    )
    axes.plot(
        measured.strengths,
        measured.random,
        color=CONTROL,
        marker="s",
        label="random directions, mean and middle 80 %",
        clip_on=False,
    )
    axes.fill_between(
        measured.strengths, measured.random_low, measured.random_high, color=CONTROL, alpha=0.25, lw=0
    )
    axes.set(
        xlabel="strength (standard deviations of the reading)",
        ylabel="words turned",
        title=title,
        ylim=(0, 1),
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xticks(measured.strengths)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="center right")
    return axes
