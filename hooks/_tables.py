"""Tables read from files, as columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

TABLES, LINES = (".csv", ".tsv"), ".jsonl"
"""How the names of files end."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LONGEST = 2**31 - 1
"""Characters of a field, of which Python's reader allows a 131,072 by itself."""

_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"-?(0|[1-9]\d*)"), int),
    (re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?"), float),
)


def read_csv(path: str | Path, text: str) -> dict[str, list[Any]]:
    """The columns of a CSV file; see `csv_rows`."""
    return _columns(csv_rows(path, text))


def csv_rows(path: str | Path, text: str) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file with a header: empty entries become None, and numbers in all rows numbers.

    Semicolons or tabs may stand for the commas; rows with nothing in them are left out. The file is read
    twice, so that a column is of one kind however many rows there are.
    text: the column that stays as it is.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no rows, neither UTF-8 nor UTF-16, two columns of one name, or a row that is longer or
            shorter than the header.
    """
    kinds: dict[str, list[int]] = {}
    for row in _csv(path):
        for name, value in row.items():
            left = kinds.setdefault(name, list(range(len(_NUMBERS))))
            kinds[name] = [kind for kind in left if _NUMBERS[kind][0].fullmatch(value)]
    readers = {name: _NUMBERS[left[0]][1] if left else _entry for name, left in kinds.items()}
    for row in _csv(path):
        yield {name: value if name == text else readers[name](value) for name, value in row.items()}


def _csv(path: str | Path) -> Iterator[dict[str, str]]:
    header: list[str] = []
    number, broken = 0, f"{path} is not a CSV file with a header and at least one row"
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
    try:
        with _existing(path).open(newline="", encoding=_encoding(path)) as file:
            reader = csv.reader(file, delimiter=_delimiter(file.readline()))
            file.seek(0)
            header = _header(path, next(reader, []))
            for number, row in enumerate(filter(any, reader), start=1):
                if len(row) != len(header):
                    raise ValueError(f"{path}: row {number} has {len(row)} entries for {len(header)} columns")
                yield dict(zip(header, row, strict=True))
    except UnicodeError as error:
        raise ValueError(_not_text(path)) from error
    except csv.Error as error:
        raise ValueError(broken) from error
    if not number:
        raise ValueError(f"{path} has a header but no rows" if header else broken)


def _encoding(path: str | Path) -> str:
    """UTF-8, or the UTF-16 that spreadsheets call Unicode text."""
    with _existing(path).open("rb") as file:
        begins = file.read(4)
    if b"\0" in begins and not begins.startswith(_UTF_16):
        raise ValueError(_not_text(path))
    return "utf-16" if begins.startswith(_UTF_16) else "utf-8-sig"


def _header(path: str | Path, names: list[str]) -> list[str]:
    header = [name.strip() for name in names]
    twice = [name for number, name in enumerate(header) if name and name in header[:number]]
    if twice:
        raise ValueError(f"{path} has two columns {twice[0]!r}: give them names of their own")
    return header


def _not_text(path: str | Path) -> str:
    return f"{path} is not a UTF-8 text file: save it as one, in a spreadsheet as 'CSV UTF-8'"


def _delimiter(header: str) -> str:
    """A comma, or what spreadsheets of some countries and databases write in its place."""
    return next((one for one in ",;\t" if len(next(csv.reader([header], delimiter=one), [])) > 1), ",")


def _entry(value: str) -> str | None:
    return value or None


def read_jsonl(path: str | Path) -> dict[str, list[Any]]:
    """The columns of a file with one JSON object a line; see `jsonl_rows`."""
    return _columns(jsonl_rows(path))


def jsonl_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a file with one JSON object a line.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no rows, not UTF-8, a line that is no JSON object, or one with other keys than the first.
    """
    first: dict[str, Any] = {}
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        row = _object(path, number, line)
        first = first or row
        if row.keys() != first.keys():
            raise ValueError(
                f"{path}: line {number} has the keys {', '.join(row)}, the first line {', '.join(first)}"
            )
        yield row
    if not first:
        raise ValueError(f"{path} has no rows")


def _lines(path: str | Path) -> Iterator[str]:
    try:
        with _existing(path).open(encoding=_encoding(path)) as file:
            yield from file
    except UnicodeError as error:
        raise ValueError(_not_text(path)) from error


def _object(path: str | Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: line {number} is not JSON: {error.msg}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{path}: line {number} is not a JSON object but {type(row).__name__}")
    return row


def _columns(rows: Iterable[dict[str, Any]]) -> dict[str, list[Any]]:
    listed = list(rows)
    return {name: [row[name] for row in listed] for name in listed[0]}


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
