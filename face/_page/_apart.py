"""The strongest interactions in the user's own sentences."""

from __future__ import annotations

from conceptscope._page._words import paragraph, section, without
from conceptscope._report_result import Report

_CAUTION = (
    "An absent word leaves the mean of the embedding in its place, which is no neutral input either: words "
    "that say nothing take part in interactions all the same, and not only in weak ones. What is explained "
    "is the reading of the concept, not what the model says. These are a few sentences, drawn at random "
    "among the short ones."
)


def apart(made: Report) -> str:
    """The section."""
    title = "Which words make it, together"
    refused = made.left_out.get("interactions")
    if not made.sentences:
        return section("apart", title, without(refused or "no sentences were asked for"))
    how = (
        f"The reading of the concept at {made.concept.site}, in standard deviations, as a sum of effects: of "
        "single words, and of words that have one only together (and). The words that take part are marked "
        "in the sentence; orange raises the reading, blue lowers it."
    )
    found = "".join(f'<div class="effects">{one._repr_html_()}</div>' for one in made.sentences)
    rest = "" if refused is None else without(f"a sentence: {refused}")
    return section("apart", title, paragraph(how), found, rest, caution=_CAUTION)
