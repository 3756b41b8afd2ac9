"""Where the concept is: held-out scores at every site, beside the controls."""

from __future__ import annotations

from collections.abc import Sequence

from conceptscope._page._lines import Line, LineChart
from conceptscope._page._words import between, numbers, paragraph, section, site_labels, small
from conceptscope._report_result import Report
from conceptscope.probes import ProbeSweep, ValueSweep
from conceptscope.probes._probe_sweep import SiteScore
from conceptscope.probes._result_html import table_html
from conceptscope.probes._value_sweep import ValueScore

_CAUTION = (
    "That a probe reads a label at a site says that it can be told there, not that the model uses it. The "
    "scores hold for texts like these: a probe may read something else that goes along with the label in "
    "them. The site that is best was found by looking at these scores, so its own is a little too high."
)


def where(made: Report) -> str:
    """The section."""
    found, at = made.sweep, made.concept.site
    chosen = [score.site for score in found.scores].index(at)
    lines, readings = _classes(found) if isinstance(found, ProbeSweep) else _values(found)
    labels, title = site_labels([score.site for score in found.scores])
    chart = LineChart(
        about="Held-out scores and controls by site",
        at=range(len(labels)),
        labels=labels,
        title=title,
        lines=lines,
        readings=readings,
        chosen=chosen,
        also=(0.4, 1.0) if isinstance(found, ProbeSweep) else (0.0, 1.0),
    )
    groups = "" if found.n_groups == found.n_examples else f" (their {found.n_groups} groups are never split)"
    how = (
        f"At each site a probe, {made.settings['extractor']}, was fitted {found.folds} times, each time "
        f"without a fold of the {found.n_examples} texts{groups}, and tested on that fold. Shaded: 95 % "
        "intervals. Shuffled labels and random directions, drawn with the activations' covariance, show what "
        "such a probe gets where there is nothing to find. Sites have TransformerLens's names: a kind of "
        "activation, as resid_post is the residual stream after a layer, and the layer, counted from 0. What "
        f"follows is about {at}, {made.settings['site']}."
    )
    table = numbers("All numbers", table_html("Held-out scores and controls.", found.to_frame()))
    return section("where", "Where it is", paragraph(how), chart.html(), table, caution=_CAUTION)


def _classes(found: ProbeSweep) -> tuple[list[Line], list[str]]:
    own = _estimates("accuracy, held out", found.scores, "accuracy")
    second = Line("AUROC, held out", "second", [one.auroc for one in found.scores])
    return [own, second, *_controls(found.scores)], [reading_of(one) for one in found.scores]


def _values(found: ValueSweep) -> tuple[list[Line], list[str]]:
    own = _estimates("R squared, held out", found.scores, "r2")
    second = Line("rank correlation, held out", "second", [one.spearman for one in found.scores])
    return [own, second, *_controls(found.scores)], [reading_of(one) for one in found.scores]


def _estimates(name: str, scores: Sequence[SiteScore | ValueScore], part: str) -> Line:
    """A score with the ends of its interval."""
    values, low, high = ([getattr(one, part + end) for one in scores] for end in ("", "_low", "_high"))
    return Line(name, "own", values, low, high)


def _controls(scores: Sequence[SiteScore | ValueScore]) -> list[Line]:
    return [
        Line("shuffled labels", "control", [one.shuffled for one in scores]),
        Line("random directions", "random", [one.random_direction for one in scores]),
    ]


def reading_of(one: SiteScore | ValueScore) -> str:
    """The scores at a site in a line."""
    return _class_reading(one) if isinstance(one, SiteScore) else _value_reading(one)


def _class_reading(one: SiteScore) -> str:
    return (
        f"{one.site}: accuracy {between(one.accuracy, one.accuracy_low, one.accuracy_high)}, AUROC "
        f"{between(one.auroc, one.auroc_low, one.auroc_high)}; shuffled labels {one.shuffled:.2f}, random "
        f"directions {one.random_direction:.2f}, selectivity {one.selectivity:.2f}; {small(one.p_corrected)} "
        "corrected for all sites"
    )


def _value_reading(one: ValueScore) -> str:
    return (
        f"{one.site}: R squared {between(one.r2, one.r2_low, one.r2_high)}, rank correlation "
        f"{between(one.spearman, one.spearman_low, one.spearman_high)}; R squared with shuffled labels "
        f"{one.shuffled:.2f}, along random directions {one.random_direction:.2f}"
    )
