"""Texts with what is known about them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._random import numpy_generator
from conceptscope.hooks._rows import as_list, selected_rows, take
from conceptscope.hooks._tables import read_csv, read_hub, read_jsonl

if TYPE_CHECKING:
    import pandas as pd

Text = str | Sequence[Mapping[str, Any]]
"""A text, or a chat: a list of messages with a role and a content."""

_PARALLEL = ("labels", "groups", "pairs", "contexts", "spans")
_COLUMNS = ("labels", "groups", "pairs", "spans")
_ROWS_SHOWN = 8


@dataclass(frozen=True, eq=False, repr=False)
class Examples:
    """Texts (or chats), each with its label, group, pair, context and span where there are any.

    Examples of one group (a template, say) or of one pair never get separated by a split. A text's
    span is (start, end) in characters, a list of these, or None.

    Raises:
        TypeError: a single string instead of a list, or a text that is neither a string nor a chat.
        ValueError: no texts, a list of another length, a missing label, or a span outside its text.

    >>> import conceptscope as cs
    >>> texts, labels = ["so good", "so bad", "nice"], ["good", "bad", "good"]
    >>> data = cs.Examples(texts, labels, groups=["so", "so", "none"])
    >>> data
    Examples(3 texts, labels bad 1, good 2, 2 groups)
    >>> data[1:].labels
    ['bad', 'good']
    """

    texts: Sequence[Text]
    labels: Sequence[Any] | None = None
    groups: Sequence[Any] | None = field(default=None, kw_only=True)
    pairs: Sequence[Any] | None = field(default=None, kw_only=True)
    contexts: Any = field(default=None, kw_only=True)
    spans: Sequence[Any] | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "texts", _checked_texts(self.texts))
        for part in _PARALLEL:
            object.__setattr__(self, part, _checked_parallel(part, getattr(self, part), len(self.texts)))
        _check_labels(self.labels or ())
        if self.spans is not None:
            spans = [_checked_span(row, span, self.texts[row]) for row, span in enumerate(self.spans)]
            object.__setattr__(self, "spans", spans)

    @classmethod
    def of(cls, examples: Examples | Sequence[Text]) -> Examples:
        """Examples as they are, or made of a plain list of texts."""
        return examples if isinstance(examples, Examples) else cls(_listed(examples))

    @classmethod
    def from_pairs(cls, pairs: Sequence[tuple[Text, Text]], *, name: str = "") -> Examples:
        """Contrast pairs, each a positive and a negative text, labelled "positive" and "negative".

        Raises:
            ValueError: no pairs, or an entry that is not a pair.

        >>> import conceptscope as cs
        >>> cs.Examples.from_pairs([("I love it", "I hate it")]).labels
        ['positive', 'negative']
        """
        for row, pair in enumerate(pairs):
            if isinstance(pair, str) or len(pair) != 2:
                raise ValueError(f"entry {row} is not a (positive, negative) pair: {pair!r}")
        return cls(
            [text for pair in pairs for text in pair],
            ["positive", "negative"] * len(pairs),
            pairs=[row for row in range(len(pairs)) for _ in range(2)],
            name=name,
        )

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        text: str = "text",
        label: str | None = None,
        group: str | None = None,
        *,
        pair: str | None = None,
        name: str = "",
    ) -> Examples:
        """Examples from a CSV file with a header, one example a row.

        A column that is not named is looked for as "label", "group" and "pair" and left out if it is not
        there. A column of numbers (other than the texts) is read as numbers. Semicolons or tabs may stand
        for the commas; rows with nothing in them are left out.

        Raises:
            FileNotFoundError: no such file.
            ValueError: no rows, a row without a text or label, or a column that is not there.
        """
        return cls._from_table(read_csv(path, text), text, label, group, pair, name or Path(path).stem)

    @classmethod
    def from_jsonl(
        cls,
        path: str | Path,
        text: str = "text",
        label: str | None = None,
        group: str | None = None,
        *,
        pair: str | None = None,
        name: str = "",
    ) -> Examples:
        """Examples from a file with one JSON object a line; columns as in `from_csv`, and texts may be chats.

        Raises:
            FileNotFoundError: no such file.
            ValueError: no rows, a line that is not a JSON object, or a column that is not there.
        """
        return cls._from_table(read_jsonl(path), text, label, group, pair, name or Path(path).stem)

    @classmethod
    def from_hub(
        cls,
        path: str,
        text: str = "text",
        label: str | None = None,
        group: str | None = None,
        *,
        pair: str | None = None,
        split: str = "train",
        name: str = "",
        **load_dataset: Any,
    ) -> Examples:
        """Examples from a data set of the Hugging Face hub, or a local folder; columns as in `from_csv`.

        Further arguments (a configuration, data_files, revision) go to `datasets.load_dataset`.

        Raises:
            ImportError: `datasets` is not installed: it comes with the extra `hub`.
            ValueError: no rows, or a column that is not there.
        """
        return cls._from_table(read_hub(path, split, load_dataset), text, label, group, pair, name or path)

    @classmethod
    def _from_table(
        cls,
        table: dict[str, list[Any]],
        text: str,
        label: str | None,
        group: str | None,
        pair: str | None,
        name: str,
    ) -> Examples:
        def column(wanted: str | None, usual: str) -> list[Any] | None:
            if wanted is None:
                return table.get(usual)
            if wanted not in table:
                raise ValueError(f"there is no column {wanted!r}: the columns are {', '.join(table)}")
            return table[wanted]

        return cls(
            column(text, text) or [],
            column(label, "label"),
            groups=column(group, "group"),
            pairs=column(pair, "pair"),
            name=name,
        )

    def split(self, test: float = 0.2, generator: int | torch.Generator = 0) -> tuple[Examples, Examples]:
        """A training and a test part, drawn at random; no group and no pair is in both.

        test: the share of examples wanted in the test part; whole groups come as near to it as they can.

        Raises:
            ValueError: test is not between 0 and 1, or everything belongs to one group.
        """
        if not 0 < test < 1:
            raise ValueError(f"test must be a share between 0 and 1, got {test}")
        cluster = np.asarray(clusters(len(self), self.groups, self.pairs))
        sizes = np.bincount(cluster)
        if len(sizes) < 2:
            raise ValueError("all examples belong to one group or pair: there is nothing to split between")
        order = numpy_generator(generator).permutation(len(sizes))
        distance = np.abs(np.cumsum(sizes[order])[:-1] - test * len(self))
        held_out = np.isin(cluster, order[: int(distance.argmin()) + 1])
        return self[~held_out], self[held_out]

    def to_frame(self) -> pd.DataFrame:
        """One row an example: text, and label, group, pair and span where there are any.

        >>> import conceptscope as cs
        >>> cs.Examples(["so good", "so bad"], ["good", "bad"]).to_frame().columns.to_list()
        ['text', 'label']
        """
        import pandas as pd

        shown = ("texts", *(part for part in _COLUMNS if getattr(self, part) is not None))
        return pd.DataFrame({part[:-1]: list(getattr(self, part)) for part in shown})

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Examples:
        """The examples that a number, a slice, a mask or a list of numbers selects, as Examples."""
        rows = selected_rows([index] if isinstance(index, int | np.integer) else index, len(self))
        parts = {part: take(getattr(self, part), rows) for part in _PARALLEL}
        return Examples([self.texts[row] for row in rows], name=self.name, **parts)

    def __iter__(self) -> Iterator[Examples]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        about = [f"{self.name!r}"] if self.name else []
        about.append(f"{len(self)} text{'s' if len(self) > 1 else ''}")
        if self.labels is not None:
            about.append(f"labels {_counted(self.labels)}")
        for part in ("groups", "pairs"):
            if (values := getattr(self, part)) is not None:
                about.append(f"{len(set(values))} {part}")
        return f"Examples({', '.join(about)})"

    def _repr_html_(self) -> str:
        shown = [part for part in ("labels", "groups", "pairs") if getattr(self, part) is not None]
        head = "".join(f"<th>{part[:-1]}</th>" for part in ("texts", *shown))
        rows = ""
        for row in range(min(len(self), _ROWS_SHOWN)):
            cells = [self.texts[row], *(getattr(self, part)[row] for part in shown)]
            rows += "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>"


def _listed(texts: Any) -> list[Any]:
    """Texts that are in an order, one a row."""
    if isinstance(texts, str):
        raise TypeError(f"expected a list of texts, got one string: write [{texts[:30]!r}]")
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise TypeError(
            f"expected a list of texts, got a table ({type(texts).__name__}): write "
            "Examples(table['text'], table['label'])"
        )
    if isinstance(texts, Set) or not isinstance(texts, Iterable):
        raise TypeError(f"expected a list of texts, got {type(texts).__name__}")
    return as_list(texts)


def _checked_texts(texts: Any) -> list[Text]:
    listed = _listed(texts)
    if not listed:
        raise ValueError("there are no examples: at least one text is needed")
    if isinstance(listed[0], Mapping):
        raise TypeError("expected a list of texts or chats, got the messages of one chat: write [chat]")
    for row, text in enumerate(listed):
        if not isinstance(text, str) and not _is_chat(text):
            raise TypeError(f"example {row} is neither a text nor a list of chat messages: {text!r}")
    return listed


def _is_chat(text: Any) -> bool:
    return isinstance(text, list | tuple) and bool(text) and all(isinstance(one, Mapping) for one in text)


def _checked_parallel(part: str, values: Any, n: int) -> Any:
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{part} must be a list with one entry for each text, got {values!r}")
    listed: Any = values if part == "contexts" and hasattr(values, "shape") else as_list(values)
    if len(listed) != n:
        raise ValueError(f"{len(listed)} {part} for {n} texts: each text needs one")
    return listed


def _check_labels(labels: Sequence[Any]) -> None:
    for row, label in enumerate(labels):
        if not isinstance(label, Hashable):
            raise TypeError(f"example {row} has the label {label!r}: a label is a word or a number")
    missing = [row for row, label in enumerate(labels) if _is_missing(label)]
    if missing:
        more = f" and {len(missing) - 1} others have" if len(missing) > 1 else " has"
        raise ValueError(f"example {missing[0]}{more} no label: leave out what has none, or give it one")


def _is_missing(label: Any) -> bool:
    of_pandas = type(label).__name__ in ("NAType", "NaTType")
    return label is None or of_pandas or (isinstance(label, float) and math.isnan(label))


def _checked_span(row: int, given: Any, text: Text) -> Any:
    if given is None:
        return None
    single = len(given) == 2 and not isinstance(given[0], Sequence)
    spans = [(int(start), int(end)) for start, end in ([given] if single else given)]
    for start, end in spans:
        if isinstance(text, str) and not 0 <= start < end <= len(text):
            raise ValueError(
                f"span ({start}, {end}) of example {row} is not inside its text of {len(text)} characters"
            )
    return spans[0] if single else spans


def _counted(labels: Sequence[Any]) -> str:
    counts: dict[Any, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    if len(counts) > 6:
        return f"of {len(counts)} values"
    return ", ".join(f"{label} {counts[label]}" for label in sorted(counts, key=str))
