"""The picture of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.probes._probe_sweep import SiteScore

_BLUE, _ORANGE, _GREY, _GREEN = "#0072b2", "#d55e00", "#7f7f7f", "#009e73"


def plot_sweep(scores: Sequence[SiteScore], n_classes: int, ax: Axes | None) -> Axes:
    """Accuracy with its interval, AUROC, and the controls as dashed lines."""
    from matplotlib.ticker import MaxNLocator

    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7, 4), layout="constrained")[1]
    by_layer = len({score.site.kind for score in scores}) == 1 and all(
        score.site.layer is not None and score.site.head is None for score in scores
    )
    at = [score.site.layer or 0 for score in scores] if by_layer else list(range(len(scores)))
    low, high = [score.accuracy_low for score in scores], [score.accuracy_high for score in scores]
    ax.fill_between(at, low, high, color=_BLUE, alpha=0.2, linewidth=0, label="95 % interval of accuracy")
    ax.plot(at, [score.accuracy for score in scores], "o-", color=_BLUE, label="accuracy, held out")
    ax.plot(at, [score.auroc for score in scores], ":", color=_GREEN, linewidth=2.5, label="AUROC, held out")
    ax.plot(at, [score.shuffled for score in scores], "--", color=_GREY, label="shuffled labels")
    ax.plot(at, [score.random_direction for score in scores], "--", color=_ORANGE, label="random direction")
    if by_layer:
        ax.set_xlabel(f"layer ({scores[0].site.kind})")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        ax.set_xticks(at, [str(score.site) for score in scores], rotation=45, ha="right")
    bottom = min(0.4, *(value for score in scores for value in (score.accuracy_low, score.shuffled)), 1.0)
    ax.set_ylim(max(0.0, min(bottom, 0.9 / n_classes)), 1.02)
    ax.set_ylabel("share right, or AUROC")
    ax.grid(axis="y", alpha=0.3)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return ax
