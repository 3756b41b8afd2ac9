"""Convexity by layer, beside chance, and beside performance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from conceptscope.probes._axes import BLUE, GREY, given_or_new, legend_beside, site_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._convexity_performance import ConvexityPerformance
    from conceptscope.analyses._convexity_result import Convexity

_LINES = 12
"""Classes that are drawn one by one; more would hide the mean."""
_NORMAL = 1.96


def plot_convexity(found: Convexity, ax: Axes | None) -> Axes:
    """The mean over classes with its 95 % interval, chance below it, and each class as a thin line."""
    ax = given_or_new(ax)
    at = site_axis(ax, [one.site for one in found.sites])
    labels = [own.label for own in found.sites[0].classes]
    for number, label in enumerate(labels[:_LINES]):
        scores = [one.classes[number].score for one in found.sites]
        ax.plot(at, scores, linewidth=0.8, alpha=0.6, label=str(label))
    errors = [_NORMAL * (one.se or 0.0) for one in found.sites]
    means = [one.mean for one in found.sites]
    ax.errorbar(at, means, yerr=errors, fmt="o-", color=BLUE, capsize=2, linewidth=2, label="mean of classes")
    chance = [one.chance for one in found.sites if one.chance is not None]
    if len(chance) == len(at):
        ax.plot(at, chance, color=GREY, linestyle="--", label="chance")
    ax.set_ylim(0, 1.02)
    ax.set_ylabel(f"{found.kind} convexity")
    ax.grid(axis="y", alpha=0.3)
    legend_beside(ax)
    return ax


def plot_performance(found: ConvexityPerformance, ax: Axes | None) -> Axes:
    """A point a class, the least-squares line, and r with its interval."""
    ax = given_or_new(ax, width=5)
    scores, performance = np.array(found.scores), np.array(found.performance)
    ax.scatter(scores, performance, s=18, color=BLUE, alpha=0.7)
    slope, at_zero = np.polyfit(scores, performance, 1)
    ends = np.array([scores.min(), scores.max()])
    ax.plot(ends, slope * ends + at_zero, color=GREY, linestyle="--")
    ax.set_xlabel("convexity")
    ax.set_ylabel("performance")
    ax.set_title(f"r = {found.r:.2f} [{found.low:.2f}, {found.high:.2f}]")
    ax.grid(alpha=0.3)
    return ax
