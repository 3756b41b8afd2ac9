"""Tables read from files, as columns."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


def read_csv(path: str | Path, text: str) -> dict[str, list[Any]]:
    """The columns of a CSV file with a header: empty entries become None, and numbers in all rows numbers.

    text: the column that stays as it is.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no rows, not UTF-8, or a row of another length than the header.
    """
    try:
        with _existing(path).open(newline="", encoding="utf-8-sig") as file:
            header, *rows = csv.reader(file)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a UTF-8 text file") from error
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file with a header and at least one row") from error
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {number} has {len(row)} entries for {len(header)} columns")
    if not rows:
        raise ValueError(f"{path} has a header but no rows")
    columns: dict[str, list[Any]] = {name: [row[at] for row in rows] for at, name in enumerate(header)}
    return {name: values if name == text else _read_values(values) for name, values in columns.items()}


def _read_values(values: list[str]) -> list[Any]:
    if all(_WHOLE.fullmatch(value) for value in values):
        return [int(value) for value in values]
    if all(_DECIMAL.fullmatch(value) for value in values):
        return [float(value) for value in values]
    return [value or None for value in values]


def read_jsonl(path: str | Path) -> dict[str, list[Any]]:
    """The columns of a file with one JSON object a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no rows, a line that is no JSON object, or one with other keys than the first.
    """
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(_existing(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: line {number} is not JSON: {error.msg}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}: line {number} is not a JSON object but {type(row).__name__}")
        if rows and row.keys() != rows[0].keys():
            raise ValueError(
                f"{path}: line {number} has the keys {', '.join(row)}, the first line {', '.join(rows[0])}"
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} has no rows")
    return {name: [row[name] for row in rows] for name in rows[0]}


def read_hub(path: str, split: str, load_dataset: dict[str, Any]) -> dict[str, list[Any]]:
    """The columns of a data set read by `datasets`, with class labels by their names.

    Raises:
        ImportError: `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            "reading from the hub needs the extra 'hub': pip install 'conceptscope[hub]'"
        ) from error
    table = datasets.load_dataset(path, split=split, **load_dataset)
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        values, kind = list(table[name]), table.features[name]
        columns[name] = kind.int2str(values) if isinstance(kind, datasets.ClassLabel) else values
    return columns


def _existing(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    return file
