"""`conceptscope interact`: which words together make the model say something, in a table and files."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._console import console, printable, stderr, working
from conceptscope._pictures import blank, save_picture
from conceptscope._staged import staged
from conceptscope._steer_command import direction
from conceptscope.analyses import Interactions, LogitDifference, LogOdds, interactions
from conceptscope.hooks import load_model
from conceptscope.probes import Concept

_SHOWN = 15


@dataclass(frozen=True)
class Settings:
    """The options of the command, as they were given."""

    target: str | None
    versus: str | None
    concept: Path | None
    towards: str | None
    players: str
    baseline: str
    method: str


def run_interact(source: str, text: str, out: Path | None, settings: Settings) -> None:
    """Load, compute, print and save.

    Raises:
        ValueError: no target, or several.
    """
    target = read_target(settings)
    with working(f"Loading {source}"):
        model = load_model(source)
    found = interactions(
        model,
        text,
        target,
        players=read_players(settings.players),
        baseline=settings.baseline,
        method=settings.method,
        progress=stderr.is_terminal,
    )
    console.print(
        printable(f"{found.about()} Always present: {_fixed(found)}."), markup=False, highlight=False
    )
    console.print(effects_table(found))
    if out is not None:
        with staged(out) as stage:
            found.to_frame().to_csv(stage / "interactions.csv", index=False)
            save_picture(found.plot(blank()), stage / "interactions.png")
            (stage / "interactions.html").write_text(page(found, text), encoding="utf-8")
        console.print(f"Saved in {out}: interactions.csv, interactions.png, interactions.html", markup=False)


def read_target(settings: Settings) -> LogOdds | LogitDifference | Concept:
    """A token's log-odds, the difference of two logits, or a saved concept.

    Raises:
        ValueError: neither --target nor --concept, or both.
    """
    if (settings.target is None) == (settings.concept is None):
        raise ValueError("give one of --target, a token such as ' happy', and --concept, a saved concept")
    if settings.concept is not None:
        return direction(Concept.load(settings.concept), settings.towards)
    token = str(settings.target)
    return LogOdds(token) if settings.versus is None else LogitDifference(token, settings.versus)


def read_players(given: str) -> str | list[str]:
    """Words, tokens, or parts of the text with | between."""
    return given if given in ("words", "tokens") else given.split("|")


def page(found: Interactions, title: str) -> str:
    """A page of its own, for light and dark screens."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title></head>"
        '<body style="font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem">'
        f"{found._repr_html_()}</body></html>\n"
    )


def effects_table(found: Interactions) -> Table:
    """The strongest effects; those that the arithmetic may have made are faint."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("order", justify="right")
    table.add_column("players (& all of them, | any of them)", overflow="fold")
    for one in found.strongest(_SHOWN):
        style = "" if one.is_above_noise else "dim"
        table.add_row(f"{one.value:+.3f}", str(one.order), printable(one.name), style=style)
    return table


def _fixed(found: Interactions) -> str:
    if found.sentence is None:
        return "nothing"
    return " ".join(found.sentence.tokens[index].strip() for index in found.sentence.fixed) or "nothing"
