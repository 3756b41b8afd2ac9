"""`conceptscope dose`: what a concept does and breaks at each strength, in a table, a picture and files."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._console import console, stderr, working
from conceptscope._pictures import blank, save_picture
from conceptscope._resumable import resumable
from conceptscope._staged import staged
from conceptscope._steer_command import check_model, direction
from conceptscope._sweep_command import Columns, read_examples
from conceptscope.analyses import DoseResponse, dose_response
from conceptscope.hooks import Examples, load_model
from conceptscope.probes import Concept

KEY = (
    "Changes from the untouched model, with 95 % intervals over prompts. Random: 95 % of random directions "
    "of equal norm. Perplexity: of the steered text for the untouched model, as a multiple of its own text's."
)


@dataclass(frozen=True)
class Settings:
    """The options of the command, as they were given."""

    strengths: str
    measure: str | None
    towards: str | None
    tokens: int
    directions: int
    kl: float
    force: bool


def run_dose(source: str, path: Path, prompts: Path, out: Path, settings: Settings) -> None:
    """Load, try every strength, print and save, going on with what an earlier call has finished."""
    kept = out / ".doses"
    with resumable(kept), staged(out) as stage:
        levels = read_strengths(settings.strengths)
        texts = read_prompts(prompts)
        wanted = None if settings.measure is None else read_measure(settings.measure)
        concept = direction(Concept.load(path), settings.towards)
        with working(f"Loading {source}"):
            model = load_model(source)
        if not settings.force:
            check_model(concept, model)
        found = dose_response(
            model,
            texts,
            lambda strength: concept.add(strength, force=settings.force),
            levels,
            measure=wanted,
            max_new_tokens=settings.tokens,
            directions=settings.directions,
            store=kept,
            progress=stderr.is_terminal,
        )
        _save(found, texts, stage)
    shutil.rmtree(kept)
    console.print(f"Effect: {found.measure}", markup=False, highlight=False)
    console.print(dose_table(found))
    console.print(KEY, highlight=False)
    console.print(_best(found, settings.kl), markup=False, highlight=False)
    console.print(f"Saved in {out}: dose.csv, dose.png, texts.csv", markup=False)


def read_strengths(given: str) -> list[float]:
    """Numbers with commas between.

    Raises:
        ValueError: something that is no number.
    """
    try:
        return [float(part) for part in given.split(",")]
    except ValueError:
        raise ValueError(
            f"--strengths takes numbers with commas between, such as 0,1,2; got {given!r}"
        ) from None


def read_prompts(path: Path) -> list[str]:
    """The lines of a file that are not empty.

    Raises:
        ValueError: no such file, an empty one, or no text.
    """
    if not path.is_file():
        raise ValueError(
            f"there is no file {str(path)!r}: --prompts takes a text file with a prompt on each line"
        )
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8: write one prompt on each line") from None
    if not lines:
        raise ValueError(f"{path} has no prompts: write one on each line")
    return lines


def read_measure(given: str) -> Concept | Examples | list[str]:
    """A saved concept, labelled texts in a file, or tokens with commas between.

    Raises:
        ValueError: a file that is not there or is neither.
    """
    suffix = Path(given).suffix.lower()
    if suffix == ".safetensors":
        return Concept.load(given)
    if suffix in (".csv", ".tsv", ".jsonl"):
        return read_examples(given, Columns("text", "label", None))
    return given.split(",")


def dose_table(found: DoseResponse) -> Table:
    """For each strength effect and harms with their intervals, and below them those of random directions."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("strength", "effect", "KL", "perplexity", "repetition"):
        table.add_column(heading, justify="right", no_wrap=True)
    for dose in found.doses:
        estimates = (dose.effect, dose.kl, dose.perplexity_ratio, dose.repetition)
        table.add_row(f"{dose.strength:+g} sd", *(f"{one.value:.2g}" for one in estimates), style="bold")
        table.add_row("interval", *(f"[{one.low:.2g}, {one.high:.2g}]" for one in estimates))
        table.add_row("random", *(f"[{one.random_low:.2g}, {one.random_high:.2g}]" for one in estimates))
    return table


def _best(found: DoseResponse, budget: float) -> str:
    try:
        return f"The strongest dose within a KL of {budget:g}: {found.best(budget).strength:+g} sd"
    except ValueError as error:
        return f"There is {error}"


def _save(found: DoseResponse, prompts: list[str], stage: Path) -> None:
    found.to_frame().to_csv(stage / "dose.csv", index=False)
    save_picture(found.plot(blank()), stage / "dose.png")
    written = {"untouched": found.untouched.texts} | {
        f"{dose.strength:+g}": dose.texts for dose in found.doses
    }
    pd.DataFrame({"prompt": prompts} | written).to_csv(stage / "texts.csv", index=False)
