"""Statements with their verdict: capitals, and kinds of things."""

from functools import cache

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, choice
from conceptscope.worlds.tinyworld._forms import TRUTHS, other
from conceptscope.worlds.tinyworld._teller import END, Teller

VERDICT = "?"
"""The word after which a statement's verdict comes."""


def tell_verdict(teller: Teller, truth: str, factor: str) -> None:
    """Say that a statement is true or false."""
    teller.say(VERDICT)
    teller.expect(factor, (truth,), (other(truth, TRUTHS),))
    teller.say(truth)
    end(teller)


def end(teller: Teller) -> None:
    """End the text."""
    teller.say(".")
    teller.say(END)


@cache
def _country(city: str) -> Choice:
    right = dict(words.CAPITALS)[city]
    wrong = tuple(country for _, country in words.CAPITALS if country != right)
    return choice(("true", 0.5, (right,)), ("false", 0.5, wrong), power=0)


def tell_capital(teller: Teller, city: str) -> None:
    """Whether a city is the capital of a country."""
    for word in ("is", "the", "capital", "of"):
        teller.say(word)
    truth = str(teller.choose("truth", _country(city)))
    tell_verdict(teller, truth, "truth_capital")


@cache
def _thing() -> Choice:
    share = 1 / len(words.CATEGORIES)
    return choice(
        *((kind, share, tuple(w[0] for w in nouns)) for kind, nouns in words.CATEGORIES.items()), power=0.5
    )


@cache
def _kind_of(kind: str) -> Choice:
    wrong = tuple(k for k in words.CATEGORIES if k != kind)
    return choice(("true", 0.5, (kind,)), ("false", 0.5, wrong), power=0)


def tell_kind(teller: Teller) -> None:
    """Whether things of one sort are of a kind."""
    kind = str(teller.choose("thing", _thing()))
    for word in ("is", "a", "kind", "of"):
        teller.say(word)
    truth = str(teller.choose("truth", _kind_of(kind)))
    tell_verdict(teller, truth, "truth_kind")
