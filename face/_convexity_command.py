"""`conceptscope convexity`: how convex the classes of a file are at each site."""

from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._console import console, stderr
from conceptscope._pictures import blank, save_picture
from conceptscope._staged import staged
from conceptscope._sweep_command import Columns, loaded_and_captured
from conceptscope.analyses import Convexity, convexity

GRAPH_KEY = (
    "Mean: over classes, of the share of the points on shortest paths within a class that lie in it; pooled: "
    "over all pairs. Chance: of shuffled labels. Se: the standard error of the mean, from halves of the "
    "data. A convex region need not be one that the model uses."
)
EUCLIDEAN_KEY = (
    "Mean: over classes, of the share of points between two of a class that a logistic regression, fitted "
    "at the site, puts into it; pooled: over all pairs. Se: the standard error, from halves of the data."
)


@dataclass(frozen=True)
class Settings:
    """The options of the command that go to `convexity`."""

    kind: str
    k: int
    permutations: int
    workers: int | None


def run_convexity(
    source: str,
    data: str,
    out: Path,
    columns: Columns,
    sites: list[str],
    position: int | str,
    settings: Settings,
) -> None:
    """Capture, measure, print and save."""
    with staged(out) as stage:
        acts = loaded_and_captured(source, data, columns, sites, position)
        found = convexity(
            acts,
            kind=settings.kind,
            k=settings.k,
            null="permute" if settings.permutations else "analytic",
            permutations=max(settings.permutations, 1),
            workers=settings.workers,
            progress=stderr.is_terminal,
        )
        found.to_frame().to_csv(stage / "convexity.csv")
        save_picture(found.plot(blank()), stage / "convexity.png")
    console.print(convexity_table(found))
    console.print(GRAPH_KEY if settings.kind == "graph" else EUCLIDEAN_KEY, highlight=False)
    console.print(f"Saved in {out}: convexity.csv (every class), convexity.png", markup=False)


def convexity_table(found: Convexity) -> Table:
    """One row a site, the best one in bold; without what was not measured."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    frame = found.means().dropna(axis="columns", how="all")
    for heading in ("site", *frame.columns):
        table.add_column(heading.replace("_", " "), justify="left" if heading == "site" else "right")
    for site, values in frame.iterrows():
        style = "bold" if site == str(found.best.site) else ""
        table.add_row(str(site), *(_number(value) for value in values), style=style)
    return table


def _number(value: float | None) -> str:
    """With three decimals; what was not measured, or did not scatter, is left empty."""
    return "" if value is None or value != value else f"{value:.3f}"
