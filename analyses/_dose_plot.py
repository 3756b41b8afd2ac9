"""The picture of a dose response."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from conceptscope.probes._axes import BLUE, GREY, ORANGE, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._dose_result import DoseResponse
    from conceptscope.analyses._prompt_bootstrap import Estimate


def plot_doses(found: DoseResponse, ax: Axes | None) -> Axes:
    """Effect on the left axis and KL on the right one, with intervals; random directions as bands."""
    ax = given_or_new(ax)
    right = ax.twinx()
    _draw(ax, found, "effect", BLUE, "effect")
    _draw(right, found, "kl", ORANGE, "KL")
    ax.set_xlabel("strength")
    ax.set_ylabel(wrapped(f"change of {found.measure}"), color=BLUE)
    right.set_ylabel("KL(untouched || steered), nats a token", color=ORANGE)
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.grid(axis="y", alpha=0.3)
    (lines, labels), (more, others) = (side.get_legend_handles_labels() for side in (ax, right))
    below: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2}
    right.legend([*lines, *more], [*labels, *others], frameon=False, fontsize="small", **below)
    return ax


def wrapped(label: str) -> str:
    """A label in lines that fit along an axis."""
    return textwrap.fill(label, 42)


def sides(estimates: Sequence[Estimate]) -> list[list[float]]:
    """How far intervals reach below and above their values."""
    below = [max(one.value - one.low, 0) for one in estimates]
    return [below, [max(one.high - one.value, 0) for one in estimates]]


def _draw(ax: Axes, found: DoseResponse, part: str, colour: str, label: str) -> None:
    at = [dose.strength for dose in found.doses]
    estimates = [getattr(dose, part) for dose in found.doses]
    values = [one.value for one in estimates]
    label_own = f"{label}, 95 % interval"
    ax.errorbar(at, values, yerr=sides(estimates), fmt="o-", color=colour, capsize=2, label=label_own)
    ax.fill_between(
        at,
        [one.random_low for one in estimates],
        [one.random_high for one in estimates],
        color=colour,
        alpha=0.18,
        linewidth=0,
        label=f"{label}, 95 % of random directions",
    )
