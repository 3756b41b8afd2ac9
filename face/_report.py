"""The verb: all there is to say of a concept in a model, measured and written into one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conceptscope._page import report_page
from conceptscope._report_plan import Plan
from conceptscope._report_result import Report
from conceptscope._staged import staged
from conceptscope.hooks import Activations, Examples, HookedModel, Site, capture
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._whole_file import whole_file
from conceptscope.probes import Extractor, MeanDifference

_NEAREST = "the one nearest to half-way up among those that are not surely below the best"
STRENGTHS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def report(
    model: HookedModel,
    examples: Examples,
    out: str | Path = "report.html",
    *,
    extractor: Extractor | None = None,
    sites: str | Site | Sequence[str | Site] = "resid_post",
    position: Position = "last",
    site: str | Site | None = None,
    towards: Any = None,
    prompts: Examples | Sequence[Text] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    max_new_tokens: int = 20,
    directions: int = 20,
    folds: int = 5,
    sentences: int = 4,
    generator: int = 0,
    progress: bool = False,
) -> Report:
    """Measure a concept in a model, and write one page that says where it is, how surely, and what it does.

    The page needs nothing beside it: no network, no other file. The concepts of all sites are saved in the
    folder ``<name of the page>-concepts``. Nothing is written before all is measured.

    examples: labelled. extractor: `MeanDifference` by default; one for numbers, such as `Ridge`, where the
        labels are numbers.
    site: where the concept is read, steered and taken apart. None is the site nearest to the middle of the
        model among those whose AUROC (R squared) is not surely below the best site's: what is added low
        spoils the text, and what is added high has no layers left that could use it.
    towards: the class whose direction that is; None is the last of the sorted ones.
    prompts: what the steered model goes on from; None draws 12 of the examples' own texts.
    strengths, max_new_tokens, directions: as in `dose_response`.
    sentences: how many of the examples' texts are taken apart into interactions between their words.

    An encoder writes nothing, so that steering is left out; a concept of numbers has no card and no
    convexity. The page says what was left out, and why.

    Raises:
        FileNotFoundError: the page's folder does not exist.
        KeyError: a site or a class that is not there.
        ValueError: no labels, labels that are many numbers for an extractor of classes, a position of
            several tokens, a strength or number out of range, or what `sweep` refuses.

    >>> import tempfile
    >>> import conceptscope as cs
    >>> model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/sentiment")[:60]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = f"{folder}/page.html"
    ...     made = cs.report(model, data, page, strengths=[0, 2], max_new_tokens=2, sentences=1)
    ...     sorted(path.name for path in made.page.parent.iterdir())
    ['page-concepts', 'page.html']
    """
    page = Path(out).absolute()
    plan = Plan(
        model=model,
        examples=examples,
        extractor=MeanDifference() if extractor is None else extractor,
        strengths=[float(strength) for strength in strengths],
        max_new_tokens=max_new_tokens,
        directions=directions,
        folds=folds,
        sentences=sentences,
        generator=generator,
        progress=progress,
    )
    plan.check()
    check_page(page)
    with staged(page.with_name(f"{page.stem}-concepts")) as stage:
        acts = capture(model, examples, sites, position=position, progress=progress)
        made = _measured(plan, acts, page, site, towards, prompts)
        for where, concept in made.sweep.concepts.items():
            concept.save(stage / f"{where}.safetensors")
        with whole_file(page) as partial:
            partial.write_text(report_page(made), encoding="utf-8")
    return made


def check_page(page: Path) -> None:
    """Refuse a place where no page can be written.

    Raises:
        FileNotFoundError: its folder does not exist.
        ValueError: it is a folder, or is not named as a page.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the page is an HTML file: give a name that ends in .html, got {page.name!r}")
    if page.is_dir():
        raise ValueError(f"{page} is a folder: give the name of a file in it, such as {page / 'report.html'}")
    if not page.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {str(page.parent)!r}: make it, or choose another place")


def _measured(
    plan: Plan,
    acts: Activations,
    page: Path,
    site: str | Site | None,
    towards: Any,
    prompts: Examples | Sequence[Text] | None,
) -> Report:
    """All parts; those for which the model would have to write are left out of an encoder's report."""
    if acts.n_rows != len(plan.examples):
        raise ValueError(
            f"the position gives {acts.n_rows} rows for {len(plan.examples)} texts: a report takes one for "
            "each, such as 'last' or 'mean'"
        )
    found = plan.sweep(acts)
    concept = plan.concept(found, site, towards)
    asked = plan.drawn_prompts(prompts)
    convex = plan.convexity(acts)
    card = doses = None
    if plan.model.generates:
        card = plan.card(concept, asked)
        doses = plan.doses(concept, asked, card is not None and card.measure is not None)
    else:
        why = "the model is an encoder, which writes no text"
        plan.left_out.update(card=why, steering=why)
    return Report(
        page=page,
        folder=page.with_name(f"{page.stem}-concepts"),
        model_name=plan.model.name,
        examples=plan.examples,
        sweep=found,
        concept=concept,
        card=card,
        convexity=convex,
        doses=doses,
        prompts=asked,
        sentences=plan.taken_apart(concept),
        left_out=plan.left_out,
        settings={**plan.settings, "site": _NEAREST if site is None else "the one that was asked for"},
    )
