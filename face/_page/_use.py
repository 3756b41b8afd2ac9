"""How to load the concept, and how the page was made."""

from __future__ import annotations

from html import escape
from importlib.metadata import version

from conceptscope._page._words import paragraph, section
from conceptscope._report_result import Report


def use(made: Report) -> str:
    """The section."""
    code = f'<pre tabindex="0"><code>{escape(_lines(made))}</code></pre>'
    zero = "at the boundary" if made.concept.classes else "at the mean"
    how = (
        f"The folder {made.folder.name}, beside this page, has the concept of every site. Its reading is 0 "
        f"{zero}, and is counted in standard deviations."
    )
    return section("use", "Load the concept", paragraph(how), code)


def _lines(made: Report) -> str:
    concept = made.concept
    path = f"{made.folder.name}/{concept.site}.safetensors"
    row = f"[{concept.classes[-1]!r}]" if _is_row(made) else ""
    lines = [
        "import conceptscope as cs",
        f"model = cs.load_model({made.model_name!r})",
        f"concept = cs.Concept.load({path!r}){row}",
    ]
    if made.doses is not None:
        lines += ["with cs.intervene(model, concept.add(2.0)):", '    print(cs.generate(model, ["..."]))']
    return "\n".join(lines)


def _is_row(made: Report) -> bool:
    """Whether the report is about another direction than the file holds."""
    return made.sweep.concepts[made.concept.site].classes != made.concept.classes


def made_with(made: Report) -> str:
    """What a reader needs to do the same again."""
    facts = {
        "examples": repr(made.examples),
        "model": made.model_name,
        "concept": repr(made.concept),
        "position": made.concept.position,
        "sites": ", ".join(map(str, made.sweep.concepts)),
        **made.settings,
        "conceptscope": version("conceptscope"),
    }
    rows = "".join(
        f"<dt>{escape(what)}</dt><dd>{escape(str(fact))}</dd>"
        for what, fact in facts.items()
        if fact not in (None, "")
    )
    return section("made", "How this was made", f'<dl class="facts">{rows}</dl>')
