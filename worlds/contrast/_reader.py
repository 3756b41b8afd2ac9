"""The contrast sets as plain lists, read from the CSV files beside this one."""

import csv
from importlib import resources
from typing import TypedDict

NAMES: tuple[str, ...] = ("formality", "gender", "number", "sentiment", "tense", "truth")


class ContrastSet(TypedDict):
    """Four lists of one length: entry i of each belongs to text i."""

    texts: list[str]
    labels: list[str]
    groups: list[str]
    pairs: list[int]


def examples(name: str) -> ContrastSet:
    """Texts in minimal pairs that differ in one concept only, with a label for each.

    A group holds the pairs of one topic or sentence structure, so a held-out group is a structure not seen
    in fitting; the two texts of a pair share an integer in `pairs`.

    Raises:
        KeyError: There is no contrast set of that name.

    >>> tense = examples("tense")
    >>> tense["texts"][:2]
    ['The baker opened the shop before sunrise.', 'The baker opens the shop before sunrise.']
    >>> tense["labels"][:2]
    ['past', 'present']
    """
    if name not in NAMES:
        raise KeyError(f"there is no contrast set {name!r}: choose one of {', '.join(NAMES)}")
    table = resources.files("conceptscope.worlds.contrast") / f"{name}.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    return {
        "texts": [row["text"] for row in rows],
        "labels": [row["label"] for row in rows],
        "groups": [row["group"] for row in rows],
        "pairs": [int(row["pair"]) for row in rows],
    }
