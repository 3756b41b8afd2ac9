"""Geometry: how convex the classes are, and how the direction turns from site to site."""

from __future__ import annotations

import math

from conceptscope._page._heat import heat
from conceptscope._page._lines import Line, LineChart
from conceptscope._page._words import apart_from, numbers, paragraph, section, site_labels, small, without
from conceptscope._report_result import Report
from conceptscope.analyses import Convexity
from conceptscope.analyses._convexity_result import SiteConvexity
from conceptscope.probes import Concept
from conceptscope.probes._result_html import table_html

_CAUTION = (
    "That a class hangs together among its neighbours does not say that the model uses the region. Texts "
    "that share a template or a word lie together whatever they mean: without groups, p is then far too "
    "small. A low cosine between two layers need not mean two concepts, since each layer's direction was "
    "fitted for itself and what goes along with it differs."
)
_MOST_SITES = 48


def shape(made: Report) -> str:
    """The section."""
    if made.convexity is None:
        convex = without(f"convexity: {made.left_out['convexity']}")
    else:
        convex = _convexity(made, made.convexity)
    return section("shape", "Its geometry", convex, _cosines(made), caution=_CAUTION)


def _convexity(made: Report, found: Convexity) -> str:
    sites = found.sites
    labels, title = site_labels([one.site for one in sites])
    mean = Line(
        "mean of the classes",
        "own",
        [one.mean for one in sites],
        [max(one.mean - 1.96 * (one.se or 0.0), 0.0) for one in sites],
        [min(one.mean + 1.96 * (one.se or 0.0), 1.0) for one in sites],
    )
    chart = LineChart(
        about="Convexity by site",
        at=range(len(sites)),
        labels=labels,
        title=title,
        lines=[mean, Line("shuffled labels", "control", [_known(one.chance) for one in sites])],
        readings=[_reading(one) for one in sites],
        chosen=[one.site for one in sites].index(made.concept.site),
        also=(0.0, 1.0),
    )
    how = (
        f"Every text is joined to its {found.settings['k']} nearest neighbours at a site. Convexity is the "
        "share of the points on the shortest paths between two texts of a class that are of that class too; "
        "where it is 1, no path leaves the class. Pairs that no path joins count 0: their class lies in "
        "several places. Shaded: 1.96 standard errors, from halves of the texts."
    )
    about = f"{found.n_rows} texts, {found.settings['k']} neighbours each."
    return (
        paragraph(how) + chart.html() + numbers("All numbers", table_html(about, found.means().reset_index()))
    )


def _reading(one: SiteConvexity) -> str:
    classes = ", ".join(f"{apart_from(str(own.label))} {own.score:.2f}" for own in one.classes)
    error = "" if one.se is None else f" (standard error {one.se:.2f})"
    apart = sum(own.disconnected or 0.0 for own in one.classes) / len(one.classes)
    split = f"; {apart:.0%} of pairs of a class are joined by no path" if apart else ""
    return (
        f"{one.site}: mean {one.mean:.2f}{error}, shuffled labels {_known(one.chance):.2f}, "
        f"{small(_known(one.p))}; {classes}{split}"
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _cosines(made: Report) -> str:
    """How the direction at each site lies to that at each other."""
    concepts = list(made.sweep.concepts.values())
    if len({one.d for one in concepts}) > 1 or not 1 < len(concepts) <= _MOST_SITES:
        return ""
    towards = [one[made.concept.classes[-1]] if one.classes else one for one in concepts]
    cosines = [[_cosine(one, other) for other in towards] for one in towards]
    labels, title = site_labels([one.site for one in concepts])
    names = [str(one.site) for one in concepts]
    how = (
        "How the direction along which the concept is read turns through the model: the cosine between the "
        f"directions of every two sites, by {title}."
    )
    return paragraph(how) + heat("Cosines between reading directions", names, labels, cosines)


def _cosine(one: Concept, other: Concept) -> float:
    found = one.cosine(other)
    return found if isinstance(found, float) else math.nan
