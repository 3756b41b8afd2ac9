"""What steering does and breaks: effect and harm by strength, and the texts at each."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from conceptscope._page._lines import Line, LineChart
from conceptscope._page._words import between, numbers, paragraph, section, shown, small, towards, without
from conceptscope._report_result import Report
from conceptscope.analyses import DoseResponse
from conceptscope.analyses._dose_result import Dose
from conceptscope.analyses._prompt_bootstrap import Estimate

_CAUTION = (
    "The effect is on the next tokens that are named, after these prompts, at this site; another site or "
    "method may do more for the same harm (cs.steering_report compares them). A strength that is mild on "
    "average may spoil single texts. A text that reads well is no proof: look at the random directions."
)
_MILD = 0.5


def steering(made: Report) -> str:
    """The section."""
    title = "What steering does and breaks"
    if made.doses is None:
        return section("steering", title, without(made.left_out["steering"]))
    found, chosen = made.doses, _first_shown(made.doses)
    how = (
        f"{made.doses.n_prompts} prompts{_whose(made)} were continued while the concept was added at "
        f"{made.concept.site}, in standard deviations towards {towards(made)}. Effect: by how much the "
        f"{found.measure} changes, in nats. Harm: how far what the steered model expects next, at each token "
        "of the untouched model's text, is from what that expects (KL, in nats a token); it contains the "
        "wanted change. Shaded: 95 % intervals over prompts, and the range of 95 % of random directions that "
        "move each token as far."
    )
    table = numbers("All numbers", found._repr_html_())
    charts = f'<div class="pair">{_effect(found, chosen)}{_harm(found, chosen)}</div>'
    return section("steering", title, paragraph(how), charts, _texts(made, chosen), table, caution=_CAUTION)


def _whose(made: Report) -> str:
    """That the prompts come from the examples, where they do."""
    own = set(map(repr, made.examples.texts))
    shared = sum(repr(text) in own for text in made.prompts.texts)
    many = "all" if shared == len(made.prompts) else str(shared)
    return f" ({many} of them among the texts that the concept was fitted on)" if shared else ""


def _first_shown(found: DoseResponse) -> int:
    """The dose that the page opens with: the greatest mild one towards the concept, or the mildest."""
    mild = [n for n, dose in enumerate(found.doses) if dose.kl.value <= _MILD and dose.strength > 0]
    return mild[-1] if mild else min(range(len(found.doses)), key=lambda n: found.doses[n].kl.value)


def _effect(found: DoseResponse, chosen: int) -> str:
    return _chart(found, chosen, f"Effect: {found.measure}", lambda dose: dose.effect)


def _harm(found: DoseResponse, chosen: int) -> str:
    return _chart(found, chosen, "Harm: KL, nats a token", lambda dose: dose.kl)


def _chart(found: DoseResponse, chosen: int, about: str, of: Callable[[Dose], Estimate]) -> str:
    estimates = [of(dose) for dose in found.doses]
    own = Line(
        "along the concept",
        "own",
        [one.value for one in estimates],
        [one.low for one in estimates],
        [one.high for one in estimates],
    )
    random = Line(
        "random directions",
        "random",
        [one.random for one in estimates],
        [one.random_low for one in estimates],
        [one.random_high for one in estimates],
    )
    return LineChart(
        about=about,
        at=[dose.strength for dose in found.doses],
        labels=[_signed(dose) for dose in found.doses],
        title="strength, in standard deviations",
        lines=[random, own],
        readings=[f"{_signed(dose)} sd: {_estimate(of(dose))}" for dose in found.doses],
        chosen=chosen,
    ).html()


def _estimate(one: Estimate) -> str:
    return f"{between(one.value, one.low, one.high)}, random {one.random_low:.2f} to {one.random_high:.2f}"


def _signed(dose: Dose) -> str:
    return f"{dose.strength:+g}" if dose.strength else "0"


def _texts(made: Report, chosen: int) -> str:
    """A slider over the strengths, and the texts at each; without scripts all of them are shown."""
    found = made.doses
    assert found is not None
    doses = found.doses
    slider = (
        '<div class="slider"><label for="strength">Strength</label>'
        f'<input id="strength" type="range" min="0" max="{len(doses) - 1}" step="1" value="{chosen}">'
        f'<output for="strength">{_signed(doses[chosen])} sd</output></div>'
    )
    panels = "".join(_panel(made, found, index, index == chosen) for index in range(len(doses)))
    return f'<h3>The texts</h3>{slider}<div class="panels" aria-live="polite">{panels}</div>'


def _panel(made: Report, found: DoseResponse, index: int, chosen: bool) -> str:
    dose = found.doses[index]
    said = (
        f"{_signed(dose)} sd: effect {between(dose.effect.value, dose.effect.low, dose.effect.high)} "
        f"({small(dose.p)}), KL {dose.kl.value:.2f}; to the untouched model, the texts have "
        f"{dose.perplexity_ratio.value:.3g} times the perplexity of its own"
    )
    rows = "".join(
        _row(shown(prompt), plain, steered)
        for prompt, plain, steered in zip(made.prompts.texts, found.untouched.texts, dose.texts, strict=True)
    )
    here = "panel chosen" if chosen else "panel"
    return (
        f'<div class="{here}" data-name="{_signed(dose)} sd"><p>{escape(said)}</p>'
        f'<ul class="texts">{rows}</ul></div>'
    )


def _row(prompt: str, plain: str, steered: str) -> str:
    """A prompt with how it goes on, and how it went on untouched where that differs."""
    before = "" if plain == steered else f'<span class="before">untouched: {escape(plain.strip())}</span>'
    return (
        f'<li dir="auto"><span class="prompt">{escape(prompt)}</span>'
        f'<span class="written">{escape(steered)}</span>{before}</li>'
    )
