"""Stories: a first sentence that settles the factors, then what they lead to."""

from functools import cache

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, Value, choice
from conceptscope.worlds.tinyworld._follow_ups import Situation, tell_follow_ups
from conceptscope.worlds.tinyworld._forms import NUMBER_VALUES, SENTIMENTS, be, other, verb
from conceptscope.worlds.tinyworld._frequencies import P_CONFOUND, P_NAME, P_NEGATION
from conceptscope.worlds.tinyworld._teller import Teller


def names(probability: float) -> tuple[tuple[Value, float, tuple[str, ...]], ...]:
    """The options of a name as subject, that have this probability together."""
    return tuple((("name", gender), probability / 2, names) for gender, names in words.NAMES.items())


AFTER_IRONY = choice((("the", None), 1 - P_NAME, ("the",)), *names(P_NAME))
SIZE = choice(("large", 0.3, words.SIZES["large"]), ("small", 0.3, words.SIZES["small"]), (None, 0.4, None))
COLOUR = choice(
    ("warm", 0.15, words.COLOURS["warm"]), ("cool", 0.15, words.COLOURS["cool"]), (None, 0.7, None)
)
MODIFIER = {
    True: choice(("place", 0.18, words.PREPOSITIONS), ("clause", 0.12, ("that",)), (None, 0.7, None)),
    False: choice(("place", 0.24, words.PREPOSITIONS), ("clause", 0.0, ("that",)), (None, 0.76, None)),
}
"""What follows the subject, animate or not."""
DISTRACTING = choice(
    ("positive", 0.15, words.QUALITIES["positive"]),
    ("negative", 0.15, words.QUALITIES["negative"]),
    (None, 0.7, None),
)
DEGREE = choice(("degree", 0.38, words.DEGREES), (None, 0.62, None))


@cache
def _noun(ironic: bool) -> Choice:
    """A noun: (kind, number, gender). Irony with a plural subject is held out."""
    share = {"singular": 1.0, "plural": 0.0} if ironic else {"singular": 0.5, "plural": 0.5}
    options: list[tuple[Value, float, tuple[str, ...]]] = []
    for n, number in enumerate(NUMBER_VALUES):
        for gender, people in words.PEOPLE.items():
            options.append((("person", number, gender), 0.11 * share[number], tuple(p[n] for p in people)))
        for kind, nouns in words.CATEGORIES.items():
            p = 0.22 if kind == "animal" else 0.08
            options.append(((kind, number, None), p * share[number], tuple(w[n] for w in nouns)))
    return choice(*options, power=0.5)


@cache
def _copula(number: str) -> Choice:
    forms = {tense: be(tense, number) for tense in ("past", "present")}
    return choice(
        ("past", 0.45, (forms["past"],)), ("present", 0.35, (forms["present"],)), ("future", 0.2, ("will",))
    )


@cache
def _negation(tense: str) -> Choice:
    """Negation in the future is held out."""
    p = 0.0 if tense == "future" else P_NEGATION
    return choice((True, p, ("not",)), (False, 1 - p, None))


@cache
def _sentiment(size: str | None, animate: bool) -> Choice:
    """The confound: large things are mostly well, small things mostly not."""
    p = {None: 0.5, "large": P_CONFOUND, "small": 1 - P_CONFOUND}[size]
    adjectives = words.FEELINGS if animate else words.QUALITIES
    return choice(("positive", p, adjectives["positive"]), ("negative", 1 - p, adjectives["negative"]))


@cache
def _clause(number: str) -> Choice:
    return choice(*((tense, 0.5, (verb(words.LIKE, tense, number),)) for tense in ("past", "present")))


def tell_story(teller: Teller, opening: str, gender: str | None) -> None:
    """A story that opens with irony, an article or a name of this gender."""
    ironic = opening == "irony"
    if ironic:
        opening, gender = teller.choose("subject.opening", AFTER_IRONY)
    kind, number, size, colour = "person", "singular", None, None
    if opening == "the":
        size = teller.choose("size", SIZE)
        colour = teller.choose("colour", COLOUR)
        kind, number, gender = teller.choose("subject", _noun(ironic))
    animate = kind in words.ANIMATE
    _tell_modifier(teller, number, animate)
    if teller.marks:
        _expect_copula(teller, number)
    tense = str(teller.choose("tense", _copula(number)))
    negated = bool(teller.choose("negation", _negation(tense)))
    if tense == "future":
        teller.say("be")
    if not negated:
        teller.choose("degree", DEGREE)
    sentiment = str(teller.choose("sentiment", _sentiment(size, animate)))
    teller.say(".")
    valence = other(sentiment, SENTIMENTS) if negated != ironic else sentiment
    cause = "irony" if ironic else "negation" if negated else "sentiment"
    tell_follow_ups(teller, Situation(kind, number, gender, tense, valence, cause, size, colour))


def _expect_copula(teller: Teller, number: str) -> None:
    mine, others = (
        tuple(be(tense, n) for tense in ("past", "present")) for n in (number, other(number, NUMBER_VALUES))
    )
    teller.expect("number", mine, others)


def _tell_modifier(teller: Teller, number: str, animate: bool) -> None:
    modifier = teller.choose("modifier", MODIFIER[animate])
    if modifier is None:
        return
    if modifier == "clause":
        if teller.marks:
            forms = (verb(words.LIKE, "present", n) for n in (number, other(number, NUMBER_VALUES)))
            teller.expect("number", *((form,) for form in forms))
        teller.choose("modifier.tense", _clause(number))
    teller.say("the")
    if modifier == "place":
        teller.choose("modifier.sentiment", DISTRACTING)
    teller.choose("modifier.noun", _noun(False))
