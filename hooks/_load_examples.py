"""The examples that come with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from conceptscope.hooks._examples import Examples
from conceptscope.worlds import contrast, tinyworld

_TINY = "tinyworld/"


def load_examples(name: str) -> Examples:
    """Labelled examples by name: "tinyworld/<factor>" for the embedded model, others for open models.

    Groups are the templates that the texts were made from, and pairs differ in the label's factor only.

    Raises:
        ValueError: no examples of that name.

    >>> import conceptscope as cs
    >>> cs.load_examples("sentiment").name
    'sentiment'
    """
    known = [*(f"{_TINY}{factor}" for factor in tinyworld.FACTORS), *contrast.NAMES]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        if Path(name).suffix or Path(name).exists():
            hint = "a file is read by Examples.from_csv, from_jsonl or from_hub; "
        raise ValueError(f"there are no examples {name!r}: {hint}there are {', '.join(known)}")
    if name.startswith(_TINY):
        return Examples(**tinyworld.examples(name.removeprefix(_TINY)), name=name)
    return Examples(**contrast.examples(name), name=name)
