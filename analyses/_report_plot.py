"""The picture of a steering report."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from conceptscope.analyses._dose_plot import sides, wrapped
from conceptscope.probes._axes import given_or_new, legend_beside, site_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._report_result import SteeringReport

_APART = 0.08
"""How far the lines are moved from one another, since methods may steer alike."""


def plot_report(report: SteeringReport, ax: Axes | None) -> Axes:
    """The effect by site, a line for each method and KL, with intervals; random directions as bands."""
    ax = given_or_new(ax)
    sites = sorted({one.site for one in report.candidates})
    at = dict(zip(sites, site_axis(ax, sites), strict=True))
    levels = list(dict.fromkeys(one.wanted_kl for one in report.candidates))
    methods = list(dict.fromkeys(one.method for one in report.candidates))
    winners = [winner.candidate for winner in report.winners]
    pairs = list(itertools.product(enumerate(levels), enumerate(methods)))
    for number, ((tier, level), (kind, method)) in enumerate(pairs):
        line = [one for one in report.candidates if (one.method, one.wanted_kl) == (method, level)]
        if not line:
            continue
        where = [at[one.site] + _APART * (number - (len(pairs) - 1) / 2) for one in line]
        effects, colour = [one.effect for one in line], f"C{kind}"
        values, label = [one.value for one in effects], f"{method}, KL {level:g}"
        style = f"o{('-', '--', ':', '-.')[tier % 4]}"
        ax.errorbar(where, values, yerr=sides(effects), fmt=style, color=colour, capsize=2, label=label)
        low, high = [one.random_low for one in effects], [one.random_high for one in effects]
        ax.fill_between(where, low, high, color=colour, alpha=0.12, linewidth=0)
        for x, one in zip(where, line, strict=True):
            if one in winners:
                ax.plot(x, one.effect.value, "k*", markersize=12, zorder=5)
    ax.set_ylabel(wrapped(f"change of {report.measure}"))
    ax.grid(axis="y", alpha=0.3)
    legend_beside(ax)
    return ax
