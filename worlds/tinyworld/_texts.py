"""Texts of TinyWorld with the factors behind them, and the same texts with one factor changed."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from conceptscope.worlds.tinyworld import _forms, _grammar, _lexicon
from conceptscope.worlds.tinyworld._choice import Item, Value
from conceptscope.worlds.tinyworld._teller import END
from conceptscope.worlds.tinyworld._tellers import Mark, Reader, Rewriter, Sampler

Factors = Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Text:
    """A text, its words, and what is behind them.

    Attributes:
        text: the text as it is written, without the end marker.
        words: its words, the end marker "<s>" last.
        factors: the values of the factors that the text has.
        logps: the exact log-probability, in nats, of each word given those before it.
        marks: the words that a factor determines.
    """

    text: str
    words: tuple[str, ...]
    factors: Factors
    logps: tuple[float, ...]
    marks: tuple[Mark, ...]
    choices: Mapping[str, Item]

    def __str__(self) -> str:
        return self.text


def write(words: tuple[str, ...]) -> str:
    """Words as a text: "it smiled." """
    return " ".join(w for w in words if w != END).replace(" .", ".").replace(" ?", "?")


def split(text: str) -> tuple[str, ...]:
    """A text as words, the end marker last."""
    return (*re.findall(r"\w+|[^\w\s]", text.lower()), END)


def read(text: str) -> Text:
    """Read a whole text: its factors and the exact probability of each of its words.

    Raises:
        ValueError: if the grammar has no such text; says which word it expected otherwise.

    Examples:
        >>> read("the dogs were not happy. they cried.").factors["valence"]
        'negative'
    """
    return _read(split(text))


def _read(words: tuple[str, ...]) -> Text:
    reader = Reader(words)
    try:
        _grammar.tell(reader)
    except ValueError as problem:
        raise ValueError(f"{write(words)!r} is not a text of TinyWorld: {problem}") from None
    if len(reader.words) != len(words):
        raise ValueError(f"{write(words)!r} is not a text of TinyWorld: it goes on after its end")
    factors = MappingProxyType(_factors(reader.chosen))
    return Text(
        write(words),
        words,
        factors,
        tuple(reader.logps),
        tuple(reader.expected),
        MappingProxyType(reader.chosen),
    )


def _factors(chosen: Mapping[str, Item]) -> dict[str, str | int | bool | None]:
    values = {slot: item.value for slot, item in chosen.items()}
    kind, detail = values["start"]
    if kind in ("irony", "the", "name"):
        return {"text": "story", **_story_factors(kind, detail, values)}
    if kind == "number":
        name = str(values["operation"])
        if name == "comparison":
            return {"text": name, "truth": str(values["truth"]), "a": int(detail)}
        a, b = int(detail), int(str(values["addend"]))
        return {"text": name, "a": a, "b": b, "sum": a + b}
    if kind == "successor":
        return {"text": kind, "a": int(str(values["number"]))}
    return {"text": kind, "truth": str(values["truth"])}


def _story_factors(
    kind: str, detail: str | None, values: Mapping[str, Value]
) -> dict[str, str | bool | None]:
    irony = kind == "irony"
    opening = values.get("subject.opening", (kind, detail))
    category, number, gender = values.get("subject", ("person", "singular", opening[1]))
    sentiment, negation = str(values["sentiment"]), bool(values["negation"])
    turned = negation != irony
    return {
        "sentiment": sentiment,
        "negation": negation,
        "irony": irony,
        "valence": _forms.other(sentiment, _forms.SENTIMENTS) if turned else sentiment,
        "tense": str(values["tense"]),
        "number": number,
        "gender": gender,
        "category": category,
        "named": "subject" not in values,
        "size": values.get("size"),
        "colour": values.get("colour"),
        "modifier": values["modifier"],
        "degree": values.get("degree"),
    }


def sample(n: int, *, generator: int | random.Random = 0) -> Iterator[Text]:
    """Draw texts as they are drawn for training: `n` of them.

    Examples:
        >>> print(next(sample(1)).text)
        helsinki is the capital of czechia? false.
    """
    for words in sample_words(n, generator=generator):
        yield _read(words)


def sample_words(n: int, *, generator: int | random.Random = 0) -> Iterator[tuple[str, ...]]:
    """The words alone of `n` texts, end markers included, at a tenth of the cost."""
    rng = random.Random(generator) if isinstance(generator, int) else generator
    for _ in range(n):
        sampler = Sampler(rng)
        _grammar.tell(sampler)
        yield tuple(sampler.words)


def _next(values: tuple[str, ...], to: str | None) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        if to is not None:
            return to
        return values[(values.index(str(value)) + 1) % len(values)]

    return change


def _changed_subject(factor: str, to: str | None) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        kind, number, gender = value
        if factor == "number":
            return kind, _next(_forms.NUMBER_VALUES, to)(number), gender
        if factor == "gender":
            return kind, number, _next(tuple(_lexicon.PEOPLE), to)(gender)
        kind = _next(tuple(_lexicon.CATEGORIES), to)(kind)
        return kind, number, None

    return change


def _changed_name(to: str | None) -> Callable[[Value], Value]:
    def change(value: Value) -> Value:
        kind, gender = value
        return kind, _next(tuple(_lexicon.NAMES), to)(gender)

    return change


_PLAIN_CHANGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "sentiment": ("sentiment", _forms.SENTIMENTS),
    "tense": ("tense", _forms.TENSES),
    "size": ("size", _forms.SIZE_VALUES),
    "colour": ("colour", _forms.COLOUR_VALUES),
    "truth": ("truth", _forms.TRUTHS),
}
CHANGEABLE = (*_PLAIN_CHANGES, "negation", "irony", "number", "gender", "category")


def counterfactual(text: str | Text, factor: str, to: str | None = None) -> Text:
    """The same text with only `factor` changed, and with it the words that it determines.

    Args:
        text: a whole text of TinyWorld.
        factor: one of "sentiment", "tense", "size", "colour", "truth", "negation", "irony", "number",
            "gender", "category".
        to: the new value; by default the next one ("past" to "present" to "future" to "past"). Negation and
            irony are turned; "not" takes the place of a degree word, and nothing that of "not".

    Raises:
        KeyError: if the factor is not one of these.
        ValueError: if the text has no such factor, or there is no such value for it.

    Examples:
        >>> print(counterfactual("the big dog was not happy. it cried.", "negation"))
        the big dog was happy. it smiled.
        >>> print(counterfactual("the big dog was not happy. it cried.", "tense", to="future"))
        the big dog will not be happy. it will cry.
    """
    if factor not in CHANGEABLE:
        raise KeyError(f"unknown factor {factor!r}, expected one of {', '.join(CHANGEABLE)}")
    if isinstance(text, str):
        text = read(text)
    factors = text.factors
    if factors.get(factor) is None or (factor == "category" and factors["category"] == "person"):
        raise ValueError(f"{text.text!r} has no {factor} to change")
    choices, changes = dict(text.choices), _changes(text, factor, to)
    if factor == "negation":
        choices["degree"] = Item(None, None, 0, 0.0)
    if factor == "irony":
        choices, changes = _turned_irony(choices), {}
    rewriter = Rewriter(choices, changes)
    _grammar.tell(rewriter)
    return _read(tuple(rewriter.words))


def _changes(text: Text, factor: str, to: str | None) -> dict[str, Callable[[Value], Value]]:
    if factor in _PLAIN_CHANGES:
        slot, values = _PLAIN_CHANGES[factor]
        return {slot: _next(values, to)}
    if factor == "negation":
        return {"negation": lambda value: not value}
    if "subject" in text.choices:
        return {"subject": _changed_subject(factor, to)}
    if factor == "number":
        raise ValueError(f"{text.text!r} has no number to change: a name has no plural")
    slot = "subject.opening" if text.factors["irony"] else "start"
    return {slot: _changed_name(to)}


def _turned_irony(choices: dict[str, Item]) -> dict[str, Item]:
    turned = dict(choices)
    if "subject.opening" in turned:
        turned["start"] = turned.pop("subject.opening")
    else:
        turned["subject.opening"] = turned["start"]
        turned["start"] = Item(("irony", None), "oddly", 0, 0.0)
    return turned
