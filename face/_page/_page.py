"""All sections in one file, with their style and script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import PurePath

from conceptscope._page._apart import apart
from conceptscope._page._shape import shape
from conceptscope._page._steering import steering
from conceptscope._page._sure import sure
from conceptscope._page._use import made_with, use
from conceptscope._page._where import where
from conceptscope._page._words import apart_from, paragraph, towards
from conceptscope._report_result import Report
from conceptscope.probes import ProbeSweep
from conceptscope.probes._probe_sweep import SiteScore

_FILES = ("page.css", "page.js")
_SECTIONS = {
    "where": "Where it is",
    "sure": "How sure",
    "shape": "Its geometry",
    "steering": "Steering",
    "apart": "Words",
    "use": "Load it",
}


def report_page(made: Report) -> str:
    """The page: it loads nothing, and lets no script run but its own.

    Everything that comes from texts, labels and names is escaped where it is put in; that no script of theirs
    could run is a second fence.
    """
    style, script = (files("conceptscope._page").joinpath(name).read_text("utf-8") for name in _FILES)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    name = _title(made)
    sections = "".join(part(made) for part in (where, sure, shape, steering, apart, use, made_with))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{escape(name)}</title><style>{style}</style></head><body>"
        f"{_head(made, name)}<main>{sections}</main><script>{script}</script></body></html>\n"
    )


def _title(made: Report) -> str:
    what = str(made.concept.classes[-1]) if made.concept.classes else made.examples.name or made.concept.name
    path = PurePath(made.model_name)
    model = path.name if path.is_absolute() else made.model_name
    return f"\u201c{apart_from(what or 'a concept')}\u201d in {model}"


def _head(made: Report, name: str) -> str:
    links = "".join(f'<a href="#{place}">{words}</a>' for place, words in _SECTIONS.items())
    tiles = "".join(
        f'<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd><dd class="beside">{escape(beside)}</dd></div>'
        for what, value, beside in _facts(made)
    )
    return (
        f"<header><h1>{escape(name)}</h1><p>{escape(_about(made))}</p>"
        f'<p class="verdict">{escape(made.verdict)}</p>{_meaning(made)}<dl class="tiles">{tiles}</dl>'
        f'<nav aria-label="Sections">{links}</nav></header>'
    )


def _meaning(made: Report) -> str:
    """What the verdict's words stand for."""
    if made.card is None or made.card.measure is None:
        return ""
    return paragraph(
        "Read: the labels can be told from the activations, in texts held out. Steers: when activations are "
        "moved along the direction, what the model says next follows, more than along random directions. "
        "Whether the model relies on it when nobody moves it, neither says; what erasing it changes, below, "
        "comes nearer to that."
    )


def _about(made: Report) -> str:
    classes = made.sweep.classes if isinstance(made.sweep, ProbeSweep) else ()
    labels = list(made.examples.labels or [])
    counts = ", ".join(f"{labels.count(label)} {apart_from(str(label))}" for label in classes)
    texts = f"{len(made.examples)} texts" + (f" ({counts})" if counts else " with numbers as labels")
    source = f" from {apart_from(made.examples.name)}" if made.examples.name else ""
    place = f"{made.concept.site}, position {made.concept.position}"
    return f"{texts}{source}; read at {place}, towards {towards(made)}"


def _facts(made: Report) -> list[tuple[str, str, str]]:
    """The few numbers that a reader takes away, each with what it is to be seen beside."""
    score = made.score
    if isinstance(score, SiteScore):
        found = [
            ("AUROC, held out", f"{score.auroc:.2f}", _ends(score.auroc_low, score.auroc_high)),
            ("accuracy, held out", f"{score.accuracy:.2f}", _ends(score.accuracy_low, score.accuracy_high)),
            ("selectivity", f"{score.selectivity:+.2f}", "accuracy over that on shuffled labels"),
        ]
    else:
        found = [
            ("R squared, held out", f"{score.r2:.2f}", _ends(score.r2_low, score.r2_high)),
            ("rank correlation", f"{score.spearman:.2f}", _ends(score.spearman_low, score.spearman_high)),
        ]
    if made.convexity is not None:
        at = made.convexity[made.concept.site]
        chance = "" if at.chance is None else f"{at.chance:.2f} with shuffled labels"
        found.append(("convexity", f"{at.mean:.2f}", chance))
    return found


def _ends(low: float, high: float) -> str:
    return f"95 % interval {low:.2f} to {high:.2f}"
