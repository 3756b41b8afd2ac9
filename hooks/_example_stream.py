"""Examples that are read where they are used, more than memory holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conceptscope.hooks._examples import Examples
from conceptscope.hooks._rows import check_size
from conceptscope.hooks._tables import LINES, TABLES, csv_rows, jsonl_rows

_PARTS = ("labels", "groups", "pairs", "contexts", "spans")
_USUAL = {"labels": "label", "groups": "group", "pairs": "pair"}

Record = tuple[Any, dict[str, Any]]
"""A text, and those of its labels, groups and so on that there are."""


class ExampleStream:
    """Examples from a source that is read piece by piece, for a capture into a store.

    source: a .csv or .jsonl file; a data set of the `datasets` library, streamed or not; or whatever yields
        texts, chats, rows as dictionaries, or Examples (a generator serves for one capture). Groups and pairs
        of several Examples are taken as they are: the same value is the same group.
    text, label, group, pair: columns of a file or data set; "label", "group" and "pair" are looked for where
        they are not named.

    Raises:
        FileNotFoundError: no such file.
        TypeError: a source that cannot be read piece by piece.
        ValueError: a file of another kind. While reading: a row without a column, or what `Examples` refuses.

    >>> import conceptscope as cs
    >>> stream = cs.ExampleStream({"text": f"number {n}", "label": n % 2} for n in range(5))
    >>> [examples.labels for examples in stream.blocks(3)]
    [[0, 1, 0], [1, 0]]
    """

    def __init__(
        self,
        source: str | Path | Iterable[Any],
        *,
        text: str = "text",
        label: str | None = None,
        group: str | None = None,
        pair: str | None = None,
        name: str = "",
    ) -> None:
        self._text, self._columns = text, {"labels": label, "groups": group, "pairs": pair}
        self.name = name or (Path(source).stem if isinstance(source, str | Path) else "")
        self._source: Any = _File(Path(source), text) if isinstance(source, str | Path) else source
        if isinstance(source, Mapping):
            raise TypeError(
                f"expected rows, got {type(source).__name__} with {', '.join(map(str, source))}: "
                "choose one of them"
            )
        if not isinstance(self._source, Iterable):
            raise TypeError(
                "examples are streamed from a file, a data set or whatever yields texts, rows or Examples, "
                f"not from {type(source).__name__}"
            )

    @property
    def n_examples(self) -> int | None:
        """How many there are, where the source knows."""
        if isinstance(self._source, list | tuple):
            return sum(len(item) if isinstance(item, Examples) else 1 for item in self._source)
        return len(self._source) if isinstance(self._source, Sized) else None

    def blocks(self, size: int) -> Iterator[Examples]:
        """The examples in their order, so many at a time.

        Raises:
            TypeError, ValueError: what cannot be an example, with where it is.
        """
        check_size("size", size)
        records, first = self._records(self._source), 0
        while block := list(itertools.islice(records, size)):
            try:
                examples = _examples(block, self.name)
            except (TypeError, ValueError) as error:
                last = first + len(block) - 1
                raise type(error)(f"among the examples {first} to {last}, counted from 0: {error}") from error
            yield examples
            first += len(block)

    def first(self, n: int) -> Examples:
        """The first few, which are still there afterwards.

        Raises:
            TypeError, ValueError: what cannot be an example, or no examples at all.
        """
        taken = self._source
        if isinstance(self._source, Iterator):
            taken = list(itertools.islice(self._source, n))
            self._source = itertools.chain(taken, self._source)
        return _examples(list(itertools.islice(self._records(taken), n)), self.name)

    def read(self) -> Examples:
        """All of them, in memory.

        Raises:
            TypeError, ValueError: what cannot be an example, or no examples at all.
        """
        return _examples(list(self._records(self._source)), self.name)

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        n = self.n_examples
        return f"ExampleStream({name}{'any number of' if n is None else n} examples)"

    def _records(self, source: Iterable[Any]) -> Iterator[Record]:
        first: Record | None = None
        for number, record in enumerate(self._all_records(source)):
            first = first or record
            if record[1].keys() != first[1].keys():
                raise ValueError(
                    f"example {number} (from 0) has {_listed(record[1])}, and the first one has "
                    f"{_listed(first[1])}: all of them need the same"
                )
            yield record

    def _all_records(self, source: Iterable[Any]) -> Iterator[Record]:
        features = getattr(source, "features", None) or {}
        for item in source:
            if isinstance(item, Examples):
                yield from _records_of(item)
            elif isinstance(item, Mapping):
                yield self._record(item, features)
            else:
                yield item, {}

    def _record(self, row: Mapping[str, Any], features: Mapping[str, Any]) -> Record:
        parts: dict[str, Any] = {}
        for part, wanted in self._columns.items():
            name = _USUAL[part] if wanted is None else wanted
            if wanted is not None or name in row:
                value = _entry(row, name)
                in_words = getattr(features.get(name), "int2str", None)
                parts[part] = value if in_words is None else in_words(value)
        return _entry(row, self._text), parts


def source_of(examples: Any) -> Examples | ExampleStream:
    """Texts in a list as Examples; what is read piece by piece as a stream.

    Raises:
        TypeError: a single text, or what can be neither.
        ValueError: no texts, or a file that is neither .csv nor .jsonl.
    """
    if isinstance(examples, Examples | ExampleStream):
        return examples
    given: Any = examples
    several = isinstance(examples, list | tuple) and bool(examples) and isinstance(examples[0], Examples)
    is_table = hasattr(examples, "column_names")
    if several or is_table or isinstance(examples, Path) or not isinstance(examples, Sized):
        return ExampleStream(examples)
    return Examples.of(given)


@dataclass(frozen=True)
class _File:
    """The rows of a file, which is opened anew by each who reads them."""

    path: Path
    text: str

    def __post_init__(self) -> None:
        if self.path.is_dir():
            raise ValueError(f"{str(self.path)!r} is a folder: give a .csv or .jsonl file")
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {str(self.path)!r}")
        if self.path.suffix.lower() not in (*TABLES, LINES):
            raise ValueError(
                f"{str(self.path)!r} is neither a .csv nor a .jsonl file: save the table as one of these, "
                "in a spreadsheet as 'CSV UTF-8'"
            )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = self.path.suffix.lower() == LINES
        return jsonl_rows(self.path) if lines else csv_rows(self.path, self.text)


def _entry(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        raise ValueError(f"there is no column {column!r}: the columns are {', '.join(row)}")
    return row[column]


def _records_of(data: Examples) -> Iterator[Record]:
    there = [part for part in _PARTS if getattr(data, part) is not None]
    for row, text in enumerate(data.texts):
        yield text, {part: getattr(data, part)[row] for part in there}


def _examples(records: list[Record], name: str) -> Examples:
    parts = records[0][1] if records else {}
    return Examples(
        [text for text, _ in records],
        name=name,
        **{part: _together([about[part] for _, about in records]) for part in parts},
    )


def _listed(parts: Iterable[str]) -> str:
    return " and ".join(parts) or "a text only"


def _together(values: list[Any]) -> Any:
    """Rows of a tensor or an array as one, other values as a list."""
    if isinstance(values[0], torch.Tensor):
        return torch.stack(values)
    return np.stack(values) if isinstance(values[0], np.ndarray) else values
