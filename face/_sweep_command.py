"""`conceptscope sweep`: a table on the screen; sweep.csv, sweep.png and the concepts in a folder."""

from dataclasses import dataclass
from pathlib import Path

from conceptscope._console import console, stderr, working
from conceptscope._pictures import blank, save_picture
from conceptscope._staged import staged
from conceptscope._tables import SWEEP_KEY, sweep_table
from conceptscope.hooks import (
    Activations,
    Examples,
    ExampleStream,
    HookedModel,
    capture,
    load_examples,
    load_model,
)
from conceptscope.probes import (
    ContrastConsistent,
    Extractor,
    Leace,
    LinearDiscriminant,
    Logistic,
    MeanDifference,
    PrincipalDirection,
    ProbeSweep,
    sweep,
)

_EXTRACTORS: dict[str, Extractor] = {
    "mean-difference": MeanDifference(),
    "logistic": Logistic(),
    "linear-discriminant": LinearDiscriminant(),
    "leace": Leace(),
    "principal-direction": PrincipalDirection(),
    "contrast-consistent": ContrastConsistent(),
}


@dataclass(frozen=True)
class Columns:
    """The columns of a data file; without a group, the column "group" is taken where there is one."""

    text: str
    label: str | None
    group: str | None


def run_sweep(
    source: str,
    data: str,
    out: Path,
    columns: Columns,
    sites: list[str],
    position: int | str,
    folds: int,
    extractor: str,
) -> None:
    """Capture, sweep, print and save."""
    with staged(out) as stage:
        acts = loaded_and_captured(source, data, columns, sites, position)
        with working(f"Probing {len(acts)} sites, {folds} folds each"):
            found = sweep(acts, _EXTRACTORS[extractor], folds=folds)
        _save(found, stage)
    console.print(sweep_table(found))
    console.print(SWEEP_KEY)
    console.print(f"Saved in {out}: sweep.csv, sweep.png, concepts/ (one for each site)", markup=False)


def read_examples(data: str, columns: Columns) -> Examples:
    """The examples of a file, or built-in ones by name.

    Raises:
        ValueError: neither a .csv or .jsonl file nor a built-in name, no such column, or no labels.
    """
    found = opened(data, columns)
    return found.read() if isinstance(found, ExampleStream) else found


def opened(data: str, columns: Columns) -> Examples | ExampleStream:
    """The examples of a file, still to be read, or built-in ones by name.

    Raises:
        FileNotFoundError: no such file.
        ValueError: neither a .csv or .jsonl file nor a built-in name.
    """
    path = Path(data)
    if path.suffix or path.is_file():
        return ExampleStream(data, text=columns.text, label=columns.label, group=columns.group)
    try:
        return load_examples(data)
    except ValueError:
        if path.is_dir():
            raise ValueError(f"{data} is a folder: give a .csv or .jsonl file") from None
        raise


def loaded_and_captured(
    source: str, data: str, columns: Columns, sites: list[str], position: int | str
) -> Activations:
    """The activations that a model has for the examples of a file, or for built-in ones."""
    examples = read_examples(data, columns)
    with working(f"Loading {source}"):
        model = load_model(source)
    return captured(model, examples, [site.strip() for site in sites], position)


def captured(model: HookedModel, examples: Examples, sites: list[str], position: int | str) -> Activations:
    """The activations at some sites, as the command line names them."""
    wanted = sites[0] if len(sites) == 1 else model.resolve_sites(sites)
    return capture(model, examples, wanted, position=position, progress=stderr.is_terminal)


def _save(found: ProbeSweep, stage: Path) -> None:
    found.to_frame().to_csv(stage / "sweep.csv", index=False)
    save_picture(found.plot(blank()), stage / "sweep.png")
    (stage / "concepts").mkdir()
    for site, concept in found.concepts.items():
        concept.save(stage / "concepts" / f"{site}.safetensors")
