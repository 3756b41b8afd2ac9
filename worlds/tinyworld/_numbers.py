"""Sums, comparisons and successors of the integers 0 to 99."""

from functools import cache

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, choice
from conceptscope.worlds.tinyworld._forms import TRUTHS
from conceptscope.worlds.tinyworld._frequencies import HELD_OUT_SHARE, P_LESS, P_TEXT
from conceptscope.worlds.tinyworld._statements import end, tell_verdict
from conceptscope.worlds.tinyworld._teller import Teller


def held_out(a: int, b: int) -> bool:
    """Whether a + b is never seen in training: one in ten unordered pairs, by a fixed hash."""
    low, high = min(a, b), max(a, b)
    mixed = ((low * 1_000_003) ^ (high * 998_244_353)) * 2_654_435_761 % 2**32
    return mixed / 2**32 < HELD_OUT_SHARE


def _trained_sums(a: int) -> int:
    return sum(not held_out(a, b) for b in range(100 - a))


@cache
def p_number_first() -> tuple[tuple[float, float], ...]:
    """For each number, the probabilities that a text is an addition, or a comparison, that begins with it."""
    total = sum(_trained_sums(a) for a in range(100))
    return tuple(
        (P_TEXT["addition"] * _trained_sums(a) / total, P_TEXT["comparison"] / 100) for a in range(100)
    )


@cache
def _sum_or_comparison(a: int) -> Choice:
    addition, comparison = p_number_first()[a]
    total = addition + comparison
    return choice(("addition", addition / total, ("plus",)), ("comparison", comparison / total, ("is",)))


@cache
def _addend(a: int) -> Choice:
    trained = _trained_sums(a)
    return choice(*((b, 0.0 if held_out(a, b) else 1 / trained, (str(b),)) for b in range(100 - a)))


RELATION = choice(("more", 1 - P_LESS, ("more",)), ("less", P_LESS, ("less",)))


@cache
def _compared(a: int, relation: str) -> Choice:
    def truth(b: int) -> str:
        return TRUTHS[(a > b) if relation == "more" else (a < b)]

    groups: dict[str, list[str]] = {
        t: [str(b) for b in range(100) if b != a and truth(b) == t] for t in TRUTHS
    }
    return choice(*((t, len(shown) / 99, shown) for t, shown in groups.items() if shown), power=0)


def tell_number(teller: Teller, a: int) -> None:
    """A sum or a comparison that begins with `a`."""
    if teller.choose("operation", _sum_or_comparison(a)) == "comparison":
        relation = str(teller.choose("relation", RELATION))
        teller.say("than")
        truth = str(teller.choose("truth", _compared(a, relation)))
        tell_verdict(teller, truth, "truth_comparison")
        return
    b = int(str(teller.choose("addend", _addend(a))))
    teller.say("is")
    _tell_result(teller, "addition_held_out" if held_out(a, b) else "addition", a + b)


SUCCEEDED = choice(*((n, 1 / 99, (str(n),)) for n in range(99)))


def tell_successor(teller: Teller) -> None:
    """What comes after a number."""
    n = int(str(teller.choose("number", SUCCEEDED)))
    teller.say("comes")
    _tell_result(teller, "successor", n + 1)


def _tell_result(teller: Teller, factor: str, result: int) -> None:
    if teller.marks:
        teller.expect(factor, (str(result),), tuple(n for n in words.NUMBERS if n != str(result)))
    teller.say(str(result))
    end(teller)
