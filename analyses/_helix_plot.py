"""What fits numbers, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from conceptscope.probes._axes import BLUE, GREY, ORANGE, given_or_new, legend_beside, site_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from conceptscope.analyses._helix_check import ShiftCheck
    from conceptscope.analyses._helix_diagnostics import HelixDiagnostics
    from conceptscope.analyses._helix_result import NumberHelix

_NORMAL = 1.96


def plot_scores(found: NumberHelix, ax: Axes | None) -> Axes:
    """A bar a basis for held-out numbers, with its 95 % interval, and a mark for all numbers."""
    ax = given_or_new(ax)
    at = np.arange(len(found.scores))
    held_out = [max(score.cv_r2, 0.0) for score in found.scores]
    errors = [_NORMAL * score.se for score in found.scores]
    ax.bar(at, held_out, yerr=errors, width=0.6, color=BLUE, alpha=0.8, capsize=2, label="held-out numbers")
    ax.plot(at, [score.r2 for score in found.scores], "D", color=ORANGE, markersize=5, label="all numbers")
    ax.set_xticks(at, [score.name for score in found.scores])
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("R2")
    ax.set_title(f"{found.shape.name} at {found.site}")
    ax.grid(axis="y", alpha=0.3)
    legend_beside(ax)
    return ax


def plot_numbers(found: NumberHelix, ax: Axes | None) -> Axes:
    """The numbers on the first two components, and the paths of the helix and the polynomial."""
    ax = given_or_new(ax, width=6, height=5)
    y, directions = found.coordinates[:, :2], torch.from_numpy(found.directions[:2])
    if y.shape[1] < 2:
        raise ValueError(
            f"the numbers at {found.site} differ in one direction only: there is no plane to draw"
        )
    ax.scatter(y[:, 0], y[:, 1], c=found.numbers, s=14, cmap="viridis")
    for number, (across, up) in list(zip(found.numbers, y, strict=True))[:: max(1, len(y) // 20)]:
        ax.annotate(str(number), (across, up), fontsize="x-small", xytext=(3, 3), textcoords="offset points")
    for name, color in (("polynomial", GREY), ("helix", BLUE)):
        path = (found.predict(found.numbers, name) - found.mean) @ directions.T
        ax.plot(*path.numpy().T, color=color, linewidth=1, label=name)
    ax.set_xlabel("first component")
    ax.set_ylabel("second component")
    legend_beside(ax)
    return ax


def plot_spectrum(found: HelixDiagnostics, ax: Axes | None) -> Axes:
    """What the waves of each period add to a line, and what 95 % of wandering paths stay below."""
    ax = given_or_new(ax)
    ax.plot(found.periods, found.r2_gains, color=BLUE, label="these numbers")
    ax.plot(found.periods, found.nulls, color=GREY, linestyle="--", label="95 % of wandering paths")
    ax.set_xlabel("period")
    ax.set_ylabel("R2 added to a line")
    ax.set_ylim(0)
    ax.grid(alpha=0.3)
    legend_beside(ax)
    return ax


def plot_sites(found: Sequence[NumberHelix], ax: Axes | None) -> Axes:
    """The held-out R2 of each basis and control, site by site."""
    ax = given_or_new(ax)
    at = site_axis(ax, [one.site for one in found])
    for score in found[0].scores:
        known = [one[score.name] for one in found]
        errors = [_NORMAL * other.se for other in known]
        style = "--" if score.name in ("pca", "shuffled") else "-"
        ax.errorbar(
            at, [other.cv_r2 for other in known], errors, linestyle=style, marker="o", label=score.name
        )
    ax.set_ylabel("R2 of held-out numbers")
    ax.set_ylim(-0.2, 1.02)
    ax.grid(axis="y", alpha=0.3)
    legend_beside(ax)
    return ax


def plot_shifts(found: ShiftCheck, ax: Axes | None) -> Axes:
    """The share of sums that each step moves, with its 95 % interval."""
    ax = given_or_new(ax)
    at = np.arange(len(found.scores))
    shares = np.array([score.moved for score in found.scores])
    ends = np.array([[score.low, score.high] for score in found.scores]).T
    ax.bar(at, shares, yerr=np.abs(ends - shares), width=0.6, color=BLUE, alpha=0.8, capsize=3)
    ax.set_xticks(at, [score.name for score in found.scores])
    ax.set_ylim(0, 1.02)
    ax.set_ylabel("sums with the other number")
    ax.set_title(str(found.site))
    ax.grid(axis="y", alpha=0.3)
    return ax
