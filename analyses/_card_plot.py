"""The picture of a concept card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from conceptscope.probes._axes import BLUE, GREY, ORANGE, given_or_new

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from conceptscope.analyses._card_result import ConceptCard


def plot_card(card: ConceptCard, ax: Axes | None) -> Axes:
    """Accuracy and AUROC on the lower axis; below them, what acting causes on the upper one."""
    ax = given_or_new(ax, width=8)
    frame = card.to_frame()
    is_read = frame.quantity.isin(["accuracy", "AUROC"])
    is_caused = frame.quantity.isin([one.what for one in card.caused])
    read, caused = frame[is_read], frame[is_caused]
    upper = ax.twiny()
    _draw(ax, read, range(len(read)), BLUE)
    _draw(upper, caused, range(len(read), len(read) + len(caused)), ORANGE)
    ax.plot(read.random, range(len(read)), "|", color=GREY, markersize=16)
    ax.set_yticks(range(len(read) + len(caused)), [*read.quantity, *caused.quantity])
    ax.invert_yaxis()
    ax.set_xlim(0, 1.02)
    ax.set_xlabel("share right, or AUROC", color=BLUE)
    upper.set_xlabel("effect, or KL in nats; grey: 95 % of random directions", color=ORANGE)
    upper.plot([0, 0], [len(read) - 0.5, len(read) + len(caused) - 0.5], color=GREY, linewidth=0.8)
    ax.axhline(len(read) - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    return ax


def _draw(ax: Axes, rows: pd.DataFrame, at: Sequence[int], colour: str) -> None:
    ax.barh(
        list(at),
        rows.random_high - rows.random_low,
        left=rows.random_low,
        height=0.5,
        color=GREY,
        alpha=0.3,
    )
    sides = np.maximum([rows["value"] - rows.low, rows.high - rows["value"]], 0)
    ax.errorbar(rows["value"], list(at), xerr=sides, fmt="o", color=colour, capsize=2)
