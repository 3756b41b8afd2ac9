"""Tables of results: printed, and kept as JSON where the environment variable BENCH_TABLES names a file."""

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

KEPT_IN = "BENCH_TABLES"
VERDICTS: dict[bool | None, str] = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}
"""What a table says of a bar: met, missed, or nothing where there is none."""
LIBRARIES = {
    "captum": "captum",
    "igraph": "igraph",
    "lightgbm": "lightgbm",
    "nnconvexity": "nnconvexity",
    "nnsight": "nnsight",
    "nnterp": "nnterp",
    "numpy": "numpy",
    "pyvene": "pyvene",
    "repeng": "repeng",
    "scikit-learn": "sklearn",
    "shapiq": "shapiq",
    "steering-vectors": "steering_vectors",
    "torch": "torch",
    "transformer-lens": "transformer_lens",
    "transformers": "transformers",
}
"""Packages whose versions are told where they took part, and their modules."""


def show(made: Table, *notes: str) -> None:
    """Print it with the notes beneath, and keep it: one line of JSON for each table."""
    console = Console(width=None if Console().is_terminal else 150)
    made.title_justify = "left"
    console.print(made)
    for note in notes:
        console.print(note, style="dim", highlight=False)
    kept = os.environ.get(KEPT_IN)
    if kept:
        with Path(kept).open("a", encoding="utf-8") as file:
            file.write(json.dumps(as_data(made, notes), ensure_ascii=False) + "\n")


def as_data(made: Table, notes: Sequence[str]) -> dict[str, Any]:
    """The table's words without their colours, and the versions of what has been imported."""
    columns = [[plain(cell) for cell in column.cells] for column in made.columns]
    return {
        "title": plain(made.title or ""),
        "columns": [plain(column.header) for column in made.columns],
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "notes": [plain(note) for note in [*([made.caption] if made.caption else []), *notes]],
        "versions": versions(),
    }


def plain(cell: Any) -> str:
    return Text.from_markup(str(cell)).plain


def versions() -> dict[str, str]:
    found = {}
    for package, module in LIBRARIES.items():
        if module in sys.modules:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
    return found
