"""How sure: every text's held-out reading, and what can be read beside what it causes."""

from __future__ import annotations

from html import escape

import numpy as np

from conceptscope._drawn_texts import drawn_evenly
from conceptscope._page._strip import Point, strip
from conceptscope._page._where import reading_of
from conceptscope._page._words import apart_from, between, paragraph, section, shown, towards, without
from conceptscope._report_result import Report
from conceptscope.analyses._card_result import Caused
from conceptscope.probes import ProbeSweep

_CAUTION = (
    "A concept that is not shown to steer may be used all the same: in other contexts, along other "
    "directions, or for tokens that were not measured. One that steers need not be what its label says: a "
    "direction may carry what goes along with the label. Texts on the wrong side may be labelled wrongly."
)
_MOST_POINTS, _MOST_WRONG, _LONGEST = 240, 6, 160


def sure(made: Report) -> str:
    """The section."""
    parts = [paragraph(f"{reading_of(made.score)}.")]
    if isinstance(made.sweep, ProbeSweep):
        parts += [_readings(made, made.sweep), _wrong(made, made.sweep)]
    parts += _card(made)
    return section("sure", "How sure", *parts, caution=_CAUTION)


def _card(made: Report) -> list[str]:
    card = made.card
    if card is None:
        return [without(f"what it causes: {made.left_out['card']}")]
    effect = "" if card.measure is None else f" Effect: by how much the {card.measure} changes, in nats."
    how = (
        f"To see whether the model goes by it, {card.strength:g} standard deviations were added while it "
        f"read {card.n_prompts} prompts and what it writes after them, and taken away; then the concept was "
        f"erased, its reading set to its mean. The same was done along {card.directions} random directions, "
        "drawn with the covariance of the activations at the prompts, that move each token as far. p: how "
        "often a random direction changes as much, the concept's own counted among them, so that it is never "
        f"below {1 / (1 + card.directions):.3f}.{effect} KL: how far what it expects next moves, in nats a "
        "token. The AUROC of the verdict comes from other folds than the scores above."
    )
    rows = "".join(map(_caused, card.caused))
    names = ("what", "change and 95 % interval", "95 % of random directions", "p")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return [paragraph(how), f'<table class="caused"><tr>{head}</tr>{rows}</table>']


def _caused(one: Caused) -> str:
    found = one.estimate
    return (
        f'<tr><th scope="row">{escape(one.what)}</th><td>{between(found.value, found.low, found.high)}</td>'
        f"<td>{found.random_low:.2f} to {found.random_high:.2f}</td><td>{one.p:.3f}</td></tr>"
    )


def _readings(made: Report, found: ProbeSweep) -> str:
    """Every text (of very many, some) by the fit that had not seen it."""
    held_out, site = found.held_out, made.concept.site
    scores = held_out.scores[site]
    column = found.classes.index(made.concept.classes[-1])
    readings = scores[:, column] if scores.shape[1] > 1 else scores[:, 0] * (1 if column else -1)
    right = held_out.predicted(site) == held_out.codes
    rows = drawn_evenly(made.examples, range(len(made.examples)), _MOST_POINTS, 0)
    points = [
        Point(
            float(readings[row]),
            int(held_out.codes[row]),
            bool(right[row]),
            f"{readings[row]:+.2f} sd, {_label(found, held_out.codes[row])}: {apart_from(_text(made, row))}",
        )
        for row in rows
    ]
    some = "each text" if len(rows) == len(made.examples) else f"{len(rows)} of the texts, each"
    about = f"Reading towards {towards(made)} at {site} of {some} by a fit that had not seen it"
    return strip(about, [str(label) for label in found.classes], points, points[0].text)


def _wrong(made: Report, found: ProbeSweep) -> str:
    """The texts that were taken for another class, the first few of them."""
    codes = found.held_out.codes
    said = found.held_out.predicted(made.concept.site)
    wrong = np.flatnonzero(said != codes).tolist()
    if not wrong:
        return paragraph("No text was taken for another class.")
    items = "".join(
        f'<li><q dir="auto">{escape(_text(made, row))}</q> is {escape(_label(found, codes[row]))}, '
        f"and was taken for {escape(_label(found, said[row]))}</li>"
        for row in wrong[:_MOST_WRONG]
    )
    rest = f"<li>and {len(wrong) - _MOST_WRONG} more</li>" if len(wrong) > _MOST_WRONG else ""
    were = "was" if len(wrong) == 1 else "were"
    lead = f"{len(wrong)} of {len(codes)} texts {were} taken for another class:"
    return f'{paragraph(lead)}<ul class="texts">{items}{rest}</ul>'


def _label(found: ProbeSweep, code: int) -> str:
    return apart_from(str(found.classes[code]))


def _text(made: Report, row: int) -> str:
    text = shown(made.examples.texts[row])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"
