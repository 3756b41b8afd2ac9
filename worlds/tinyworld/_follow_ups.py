"""The sentences that may follow a story's first: what its factors lead to, in any order."""

from dataclasses import dataclass
from functools import cache

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, choice
from conceptscope.worlds.tinyworld._forms import (
    COLOUR_VALUES,
    NUMBER_VALUES,
    SENTIMENTS,
    SIZE_VALUES,
    be,
    other,
    pronoun,
    verb,
)
from conceptscope.worlds.tinyworld._frequencies import FOLLOW_WEIGHTS, P_STOP
from conceptscope.worlds.tinyworld._teller import END, Teller


@dataclass(frozen=True)
class Situation:
    """What the first sentence of a story has settled; `cause` is the last factor that turned its valence."""

    kind: str
    number: str
    gender: str | None
    tense: str
    valence: str
    cause: str
    size: str | None
    colour: str | None

    @property
    def animate(self) -> bool:
        """Whether it feels."""
        return self.kind in words.ANIMATE


def tell_follow_ups(teller: Teller, situation: Situation) -> None:
    """Tell the rest of a story."""
    s = situation
    there = {"consequence": True, "size": s.size, "colour": s.colour, "kind": True}
    left = tuple(name for name in there if there[name])
    told = 0
    while True:
        if teller.marks and left:
            _expect_pronoun(teller, s)
        if teller.choose(f"stop.{told}", _stop(told, bool(left), pronoun(s.number, s.gender))):
            return
        if s.tense == "future":
            if teller.marks:
                _expect_will(teller, s, left)
            teller.say("will")
        if teller.marks:
            _expect_verb(teller, s, left)
        name = str(
            teller.choose(f"follow.{told}", _follow(left, s.animate, s.valence, s.size, s.tense, s.number))
        )
        _finish(teller, s, name)
        left = tuple(n for n in left if n != name)
        told += 1


def _finish(teller: Teller, s: Situation, name: str) -> None:
    if name == "consequence" and not s.animate:
        teller.say("everyone")
    elif name == "size":
        for word in ("the", "door") if s.size == "large" else ("inside",):
            teller.say(word)
    elif name == "colour":
        teller.expect("colour", (str(s.colour),), (other(str(s.colour), COLOUR_VALUES),))
        teller.say(str(s.colour))
    elif name == "kind":
        mine = words.KIND_PARTICIPLE[s.kind]
        teller.expect("category", (mine,), tuple(p for p in words.KIND_PARTICIPLE.values() if p != mine))
        teller.say(mine)
    teller.say(".")


@cache
def _stop(told: int, left: bool, pronoun: str) -> Choice:
    p = P_STOP[min(told, len(P_STOP) - 1)] if left else 1.0
    return choice((True, p, (END,)), (False, 1 - p, (pronoun,)))


@cache
def _consequence(animate: bool, valence: str, tense: str, number: str) -> tuple[str, ...]:
    verbs = (words.REACTIONS if animate else words.EFFECTS)[valence]
    return tuple(verb(forms, tense, number) for forms in verbs)


@cache
def _first_words(
    left: tuple[str, ...], animate: bool, valence: str, size: str | None, tense: str, number: str
) -> dict[str, tuple[str, ...]]:
    """The words that show which sentence comes next."""
    first = {
        "consequence": _consequence(animate, valence, tense, number),
        "size": (verb(words.SIZE_VERBS[size][0], tense, number),) if size else (),
        "colour": (verb(words.LOOK, tense, number),),
        "kind": (be(tense, number),),
    }
    return {name: first[name] for name in left}


@cache
def _follow(
    left: tuple[str, ...], animate: bool, valence: str, size: str | None, tense: str, number: str
) -> Choice:
    first = _first_words(left, animate, valence, size, tense, number)
    total = sum(FOLLOW_WEIGHTS[name] for name in left)
    return choice(*((name, FOLLOW_WEIGHTS[name] / total, shown) for name, shown in first.items()))


def _all_first(s: Situation, left: tuple[str, ...], tense: str, number: str) -> tuple[str, ...]:
    shown = _first_words(left, s.animate, s.valence, s.size, tense, number)
    return tuple(word for group in shown.values() for word in group)


def _expect_pronoun(teller: Teller, s: Situation) -> None:
    mine = pronoun(s.number, s.gender)
    if mine in ("she", "he"):
        teller.expect("gender", (mine,), (other(mine, ("she", "he")),))
    teller.expect("number", (mine,), ("they",) if mine != "they" else ("it", "she", "he"))


def _expect_will(teller: Teller, s: Situation, left: tuple[str, ...]) -> None:
    wrong = (_all_first(s, left, tense, s.number) for tense in ("past", "present"))
    teller.expect("tense", ("will",), tuple(word for group in wrong for word in group))


def _expect_verb(teller: Teller, s: Situation, left: tuple[str, ...]) -> None:
    right = _all_first(s, left, s.tense, s.number)
    if s.tense != "future":
        not_now = other(s.tense, ("past", "present"))
        teller.expect("tense", right, (*_all_first(s, left, not_now, s.number), "will"))
    if s.tense == "present":
        teller.expect("number", right, _all_first(s, left, s.tense, other(s.number, NUMBER_VALUES)))
    if "consequence" in left:
        mine, others = (
            _consequence(s.animate, valence, s.tense, s.number)
            for valence in (s.valence, other(s.valence, SENTIMENTS))
        )
        teller.expect(s.cause, mine, others)
    if "size" in left and s.size:
        forms = (
            verb(words.SIZE_VERBS[v][0], s.tense, s.number) for v in (s.size, other(s.size, SIZE_VALUES))
        )
        teller.expect("size", *((form,) for form in forms))
