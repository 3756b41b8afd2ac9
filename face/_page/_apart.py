"""The strongest interactions in the user's own sentences."""

from __future__ import annotations

from html import escape

from conceptscope._page._words import apart_from, paragraph, section, without
from conceptscope._report_result import Report
from conceptscope.analyses._found_effects import FoundEffects

_CAUTION = (
    "An absent word leaves the mean of the embedding in its place, which is no neutral input either: words "
    "that say nothing take part in interactions all the same, and not only in weak ones. What is explained "
    "is the reading of the concept, not what the model says. These are a few sentences, drawn at random "
    "among the short ones."
)


def apart(made: Report) -> str:
    """The section."""
    title = "Words that make the reading, alone and together"
    refused = made.left_out.get("interactions")
    if not made.sentences:
        return section("apart", title, without(refused or "no sentences were asked for"))
    how = (
        f"The reading of the concept at {made.concept.site}, in standard deviations, taken apart: what it is "
        "without the players, which are the words that may be absent; what each of them adds; and what "
        "several add only together (and). Effects of a twentieth of the greatest or more are salient. The "
        "words that take part are marked; orange raises the reading, blue lowers it."
    )
    found = "".join(map(_sentence, made.sentences))
    rest = "" if refused is None else without(f"a sentence: {refused}")
    return section("apart", title, paragraph(how), found, rest, caution=_CAUTION)


def _sentence(one: FoundEffects) -> str:
    text = "" if one.sentence is None else f"<h3>\u201c{escape(apart_from(one.sentence.text))}\u201d</h3>"
    return f'{text}<div class="effects">{one._repr_html_()}</div>'
