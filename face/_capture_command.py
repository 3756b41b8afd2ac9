"""`conceptscope capture`: the activations of a whole file, in a folder that `Activations.open` reads."""

from pathlib import Path

from conceptscope._console import console, stderr, working
from conceptscope._resumable import resumable
from conceptscope._sweep_command import Columns
from conceptscope.hooks import Examples, ExampleStream, capture, load_examples, load_model


def run_capture(
    source: str, data: str, out: Path, columns: Columns, sites: list[str], position: str, dtype: str | None
) -> None:
    """Capture into the folder, or go on with what is there."""
    examples = _examples(data, columns)
    with working(f"Loading {source}"):
        model = load_model(source)
    with resumable(out):
        found = capture(
            model,
            examples,
            model.resolve_sites([site.strip() for site in sites]),
            position=int(position) if position.lstrip("-").isdigit() else position,
            store=out,
            dtype=dtype,
            progress=stderr.is_terminal,
        )
    rows, places = f"{found.n_rows} rows", ", ".join(map(str, found.sites))
    console.print(f"Captured in {out}: {rows} at {places}", markup=False, soft_wrap=True)
    console.print(f'In Python: cs.Activations.open("{out}")', markup=False, soft_wrap=True)


def _examples(data: str, columns: Columns) -> Examples | ExampleStream:
    if Path(data).is_file():
        return ExampleStream(data, text=columns.text, label=columns.label, group=columns.group)
    if Path(data).suffix.lower() in (".csv", ".jsonl"):
        raise FileNotFoundError(f"there is no file {data!r}")
    return load_examples(data)
