"""Labelled examples of each factor, cut just before a word that the factor determines."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypedDict

from conceptscope.worlds.tinyworld._lexicon import CAPITALS
from conceptscope.worlds.tinyworld._texts import Text, counterfactual, sample, write


class LabelledTexts(TypedDict):
    """Texts with their labels, their templates, and which two differ in the factor alone."""

    texts: list[str]
    labels: list[str] | list[int]
    groups: list[str]
    pairs: list[int] | None


@dataclass(frozen=True)
class _Recipe:
    """How the examples of one name are chosen from the corpus, labelled, paired and cut."""

    factor: str
    paired: bool = True
    before: tuple[str, ...] = ()
    only: dict[str, tuple[object, ...]] = field(default_factory=dict)
    balanced: str | None = None


_PLAIN: dict[str, tuple[object, ...]] = {"text": ("story",), "negation": (False,), "irony": (False,)}
_VALENCE = ("sentiment", "negation", "irony")
_NOW = {**_PLAIN, "tense": ("past", "present")}

_RECIPES: dict[str, _Recipe] = {
    "sentiment": _Recipe("sentiment", before=_VALENCE, only=_PLAIN),
    "sentiment_confounded": _Recipe(
        "sentiment", paired=False, before=_VALENCE, only={**_PLAIN, "size": ("small", "large")}
    ),
    "valence": _Recipe(
        "valence", before=_VALENCE, only={"text": ("story",), "irony": (False,)}, balanced="negation"
    ),
    "negation": _Recipe("negation", before=_VALENCE, only={"text": ("story",), "irony": (False,)}),
    "irony": _Recipe("irony", before=_VALENCE, only={"text": ("story",), "number": ("singular",)}),
    "tense": _Recipe("tense", before=("tense",), only=_NOW),
    "number": _Recipe("number", before=("number",), only={**_NOW, "named": (False,)}),
    "gender": _Recipe(
        "gender", before=("gender",), only={**_PLAIN, "category": ("person",), "number": ("singular",)}
    ),
    "category": _Recipe("category", paired=False, before=("category",), only=_PLAIN),
    "size": _Recipe("size", before=("size",), only={**_PLAIN, "size": ("small", "large")}),
    "size_confounded": _Recipe(
        "size", paired=False, before=("size",), only={**_PLAIN, "size": ("small", "large")}
    ),
    "colour": _Recipe("colour", before=("colour",), only={**_PLAIN, "colour": ("warm", "cool")}),
    "truth": _Recipe("truth", before=("truth_capital", "truth_kind", "truth_comparison"), only={}),
    "sum": _Recipe("sum", paired=False, before=("addition",), only={"text": ("addition",)}),
    "coin": _Recipe("coin", paired=False, before=_VALENCE, only=_PLAIN),
}

FACTORS = tuple(_RECIPES)
"""The names that `examples` knows."""


def examples(name: str, n: int = 400, *, generator: int = 0) -> LabelledTexts:
    """`n` labelled examples, cut just before a word that the label determines.

    Groups are templates, so that a fold holds out whole sentence structures. Where a text can be told with
    the other label and nothing else changed, both are there and share a number in `pairs`.
    "sentiment_confounded" and "size_confounded" keep the corpus's correlation of size with sentiment (.85);
    "coin" is a label that no text determines.

    Raises:
        KeyError: if the name is not one of FACTORS.
    """
    if name not in _RECIPES:
        raise KeyError(f"unknown factor {name!r} of TinyWorld, expected one of {', '.join(FACTORS)}")
    recipe = _RECIPES[name]
    rng = random.Random(generator)
    texts: list[str] = []
    labels: list[object] = []
    groups: list[str] = []
    pairs: list[int] = []
    seen: set[str] = set()
    for number, versions in enumerate(_versions(recipe, rng)):
        cuts = [_cut(version, recipe) for version in versions]
        if seen.intersection(cuts) or len(set(cuts)) < len(cuts):
            continue
        seen.update(cuts)
        texts += cuts
        labels += [
            rng.choice(("heads", "tails")) if name == "coin" else v.factors[recipe.factor] for v in versions
        ]
        groups += [_template(versions[0])] * len(cuts)
        pairs += [number] * len(cuts)
        if len(texts) >= n:
            break
    return {
        "texts": texts[:n],
        "labels": labels[:n],  # type: ignore[typeddict-item]
        "groups": groups[:n],
        "pairs": pairs[:n] if recipe.paired else None,
    }


def _versions(recipe: _Recipe, rng: random.Random) -> Iterator[tuple[Text, ...]]:
    """Texts that fit, each with its counterpart where the examples are paired."""
    wanted = 0
    for text in _stream(rng):
        if not all(text.factors.get(f, False) in values for f, values in recipe.only.items()):
            continue
        if not any(mark.factor in recipe.before for mark in text.marks):
            continue
        if recipe.factor not in (*text.factors, "coin"):
            continue
        if recipe.balanced:
            if bool(text.factors[recipe.balanced]) != bool(wanted % 2):
                continue
            wanted += 1
        try:
            yield (text, _counterpart(text, recipe.factor)) if recipe.paired else (text,)
        except ValueError:  # "0 is less than" has no false end
            continue


def _stream(rng: random.Random) -> Iterator[Text]:
    while True:
        yield from sample(64, generator=rng)


def _counterpart(text: Text, factor: str) -> Text:
    if factor == "valence":
        return counterfactual(text, "sentiment")
    if factor == "tense":
        return counterfactual(text, "tense", to="present" if text.factors["tense"] == "past" else "past")
    return counterfactual(text, factor)


def _cut(text: Text, recipe: _Recipe) -> str:
    mark = next(mark for mark in text.marks if mark.factor in recipe.before)
    return write(text.words[: mark.position])


def _template(text: Text) -> str:
    f = text.factors
    if f["text"] != "story":
        return f"{f['text']}/{_topic(text)}"
    parts = (f["tense"], f["modifier"] or "plain", f["degree"] or "bare")
    return "/".join(str(part) for part in parts)


def _topic(text: Text) -> str:
    """What a statement is about, so that a fold holds out whole topics."""
    if text.factors["text"] == "capital":
        cities = [city for city, _ in CAPITALS]
        return str(cities.index(text.words[0]) % 5)
    if text.factors["text"] == "kind":
        return str(text.choices["thing"].value)
    return f"{int(str(text.factors['a'])) // 20 * 20} and above"
