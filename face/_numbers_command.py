"""`conceptscope numbers`: whether a model's numbers lie on a line, a curve or a helix, site by site."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._console import console, working
from conceptscope._pictures import blank, save_picture
from conceptscope._staged import staged
from conceptscope._sweep_command import captured
from conceptscope.analyses import (
    HelixDiagnostics,
    NumberHelix,
    ShiftCheck,
    check_helix_shift,
    fit_number_helix,
    helix_diagnostics,
    number_examples,
)
from conceptscope.analyses._helix_plot import plot_sites
from conceptscope.hooks import HookedModel, load_model

TEXTS = ("The number {}", "There were {}", "She counted to {}", "He bought {}", "They waited for {}")
TINYWORLD = ("{} plus", "0 plus {} is", "after {} comes", "12 is more than {}", "12 is less than {}")
KEY = (
    "Line, poly (a polynomial of as many coefficients), helix: R2 of numbers that were held out; free: of as "
    "many principal components; mixed: the helix on shuffled numbers. Read: R2 of the number, read off "
    "linearly. Period: the one that adds most to a line; round: its circularity, 1 for a circle; p: the "
    "share of wandering paths with as good a one."
)
SUMS_KEY = (
    "Sums in which the model takes the first number for the other one after it was moved to the other's: "
    "by the difference of their means, along the helix, or along a control as far as along the helix. Where "
    "means move nothing, the model does not look there again, and the site tells nothing."
)


@dataclass(frozen=True)
class Settings:
    """The options of the command that are not about the model."""

    low: int
    high: int
    periods: str
    texts: Sequence[str]
    sums: str | None


@dataclass(frozen=True)
class Found:
    """What is known of one site."""

    helix: NumberHelix
    diagnostics: HelixDiagnostics


def run_numbers(source: str, out: Path, sites: list[str], settings: Settings) -> None:
    """Capture, fit, print and save."""
    periods = _periods(settings.periods)
    with staged(out) as stage:
        with working(f"Loading {source}"):
            model = load_model(source)
        found, note = _measured(model, sites, periods, settings)
        best = max(found, key=lambda one: max(score.cv_r2 for score in one.helix.scores[:-2]))
        checks = _checked(model, found, settings.sums)
        _save(found, checks, best, stage)
    console.print(numbers_table(found, best))
    console.print(KEY, highlight=False)
    console.print(f"{best.helix.site}: {best.helix.verdict}", highlight=False, markup=False, style="bold")
    console.print(note, highlight=False)
    if checks:
        console.print(sums_table(checks))
        console.print(SUMS_KEY, highlight=False)
    console.print(f"Saved in {out}: {', '.join(_names(checks))}", markup=False, highlight=False)


def _periods(given: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in given.split(",") if part.strip())
    except ValueError:
        raise ValueError(
            f"--periods are numbers with commas between, such as 2,5,10; got {given!r}"
        ) from None


def _measured(
    model: HookedModel, sites: list[str], periods: tuple[float, ...], settings: Settings
) -> tuple[list[Found], str]:
    """What is known of each site, and a sentence on what was read."""
    if settings.low > settings.high:
        raise ValueError(f"--low {settings.low} is above --high {settings.high}")
    numbers = range(settings.low, settings.high + 1)
    texts = settings.texts or (TINYWORLD if model.name == "tinyworld" else TEXTS)
    examples = number_examples(texts, numbers)
    acts = captured(model, examples, sites, "span")
    found = []
    with working(f"Fitting {len(acts)} sites"):
        for site in acts.sites:
            fitted = fit_number_helix(acts, site=site, periods=periods)
            found.append(Found(fitted, helix_diagnostics(acts, site=site)))
    plain = [texts[0].replace("{}", str(number)) for number in numbers]
    fewest = min(len(model.str_tokens(text)) for text in plain)
    longer = sum(len(model.str_tokens(text)) > fewest for text in plain)
    note = f"{len(numbers)} numbers in {len(texts)} texts, such as {plain[-1]!r}, averaged over the texts"
    split = f"; {longer} numbers are of several tokens, and the last one was read." if longer else "."
    return found, note + split


def _checked(model: HookedModel, found: list[Found], prompt: str | None) -> list[ShiftCheck]:
    if prompt is None:
        return []
    with working(f"Moving numbers at {len(found)} sites"):
        return [check_helix_shift(model, one.helix, prompt) for one in found]


def _names(checks: list[ShiftCheck]) -> list[str]:
    return ["numbers.csv", "periods.csv", "numbers.png", "plane.png", *(["sums.csv"] if checks else [])]


def _save(found: list[Found], checks: list[ShiftCheck], best: Found, stage: Path) -> None:
    scores = {str(one.helix.site): one.helix.to_frame() for one in found}
    pd.concat(scores, names=["site"]).to_csv(stage / "numbers.csv")
    clocks = {str(one.helix.site): one.helix.periods_frame() for one in found}
    pd.concat(clocks, names=["site"]).to_csv(stage / "periods.csv")
    save_picture(plot_sites([one.helix for one in found], blank()), stage / "numbers.png")
    save_picture(best.helix.plot_numbers(blank()), stage / "plane.png")
    if checks:
        sums = {str(check.site): check.to_frame() for check in checks}
        pd.concat(sums, names=["site"]).to_csv(stage / "sums.csv")


def numbers_table(found: list[Found], best: Found) -> Table:
    """One row a site, in bold the one that is predicted best."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    names = ("line", "polynomial", "helix", "pca", "shuffled")
    shown = ("site", "shape", "line", "poly", "helix", "free", "mixed", "read")
    for heading in (*shown, "period", "round", "p"):
        left = heading in ("site", "shape")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "shape")
    for one in found:
        helix, seen = one.helix, one.diagnostics
        numbers = [f"{helix[name].cv_r2:.2f}" for name in names]
        table.add_row(
            *(str(helix.site), helix.shape.name, *numbers, f"{helix.readout:.2f}"),
            *(f"{seen.best_period:g}", f"{seen.circularity:.2f}", f"{seen.p:.2g}"),
            style="bold" if one is best else "",
        )
    return table


def sums_table(checks: list[ShiftCheck]) -> Table:
    """One row a site: the share of sums that each way to move the number moves."""
    ways = [score.name for score in checks[0].scores]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("site", "right before", *ways):
        table.add_column(heading, justify="left" if heading == "site" else "right")
    for check in checks:
        table.add_row(
            *(str(check.site), f"{check.right:.2f}"), *(f"{score.moved:.2f}" for score in check.scores)
        )
    return table
