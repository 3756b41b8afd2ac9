"""`conceptscope report`: all there is to say of a concept, in one page to show."""

from dataclasses import dataclass
from pathlib import Path

from conceptscope._console import console, printable, stderr, working
from conceptscope._dose_command import read_prompts, read_strengths
from conceptscope._report import check_page, report
from conceptscope._sweep_command import _EXTRACTORS, Columns, read_examples
from conceptscope.hooks import load_model
from conceptscope.probes import Extractor, Ridge

EXTRACTORS: dict[str, Extractor] = {**_EXTRACTORS, "ridge": Ridge()}


@dataclass(frozen=True)
class Settings:
    """The options of the command, as they were given."""

    sites: list[str]
    position: int | str
    extractor: str
    site: str | None
    towards: str | None
    prompts: Path | None
    strengths: str
    tokens: int
    directions: int
    folds: int
    sentences: int


def run_report(source: str, data: str, out: Path, columns: Columns, settings: Settings) -> None:
    """Load, measure, write; the page comes whole at the end or not at all."""
    check_page(out.absolute())
    strengths = read_strengths(settings.strengths)
    prompts = None if settings.prompts is None else read_prompts(settings.prompts)
    examples = read_examples(data, columns)
    with working(f"Loading {source}"):
        model = load_model(source)
    made = report(
        model,
        examples,
        out,
        extractor=EXTRACTORS[settings.extractor],
        sites=model.resolve_sites([site.strip() for site in settings.sites]),
        position=settings.position,
        site=settings.site,
        towards=settings.towards,
        prompts=prompts,
        strengths=strengths,
        max_new_tokens=settings.tokens,
        directions=settings.directions,
        folds=settings.folds,
        sentences=settings.sentences,
        progress=stderr.is_terminal,
    )
    console.print(printable(made.verdict), markup=False, highlight=False)
    for part, why in made.left_out.items():
        console.print(f"Left out, {part}: {printable(why)}", markup=False, highlight=False)
    saved = (
        f"Saved: {out}, which needs nothing beside it, and the concepts in {out.with_name(made.folder.name)}"
    )
    console.print(saved, markup=False)
