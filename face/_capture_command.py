"""`conceptscope capture`: the activations of a whole file, in a folder that `Activations.open` reads."""

from pathlib import Path

from conceptscope._console import console, stderr, working
from conceptscope._resumable import resumable
from conceptscope._sweep_command import Columns, opened
from conceptscope.hooks import capture, load_model


def run_capture(
    source: str,
    data: str,
    out: Path,
    columns: Columns,
    sites: list[str],
    position: int | str,
    dtype: str | None,
) -> None:
    """Capture into the folder, or go on with what is there."""
    examples = opened(data, columns)
    with working(f"Loading {source}"):
        model = load_model(source)
    with resumable(out):
        found = capture(
            model,
            examples,
            model.resolve_sites([site.strip() for site in sites]),
            position=position,
            store=out,
            dtype=dtype,
            progress=stderr.is_terminal,
        )
    rows, places = f"{found.n_rows} rows", ", ".join(map(str, found.sites))
    console.print(f"Captured in {out}: {rows} at {places}", markup=False, soft_wrap=True)
    console.print(f'In Python: cs.Activations.open("{out}")', markup=False, soft_wrap=True)
