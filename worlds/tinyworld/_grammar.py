"""The grammar: one text told through a teller, which samples it, reads it or rewrites it.

Each choice is made when its first word appears, so that the probability of every word given the words
before it is a product of the probabilities written here.
"""

from functools import cache
from typing import Protocol

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, Value, choice

END = "<s>"
TENSES = ("past", "present", "future")
KINDS = ("person", *words.CATEGORIES)

P_TEXT = {"story": 0.33, "addition": 0.38, "comparison": 0.12, "successor": 0.05, "capital": 0.05, "kind": 0.07}
P_IRONY = 0.03
P_NAME = 0.12
P_NEGATION = 0.27
P_CONFOUND = 0.85
P_STOP = (0.05, 0.3, 0.5, 0.7)
HELD_OUT_SHARE = 0.1


class Teller(Protocol):
    """What a text is told to."""

    marks: bool

    def choose(self, slot: str, options: Choice) -> Value:
        """Make the choice called `slot`, showing its word if it has one."""

    def say(self, word: str) -> None:
        """Show a word that is the only one possible here."""

    def expect(self, factor: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
        """The next word is determined by `factor`: one of `right` and, had it been otherwise, one of `wrong`."""


def held_out(a: int, b: int) -> bool:
    """Whether a + b is never seen in training: one in ten unordered pairs, by a fixed hash."""
    low, high = min(a, b), max(a, b)
    mixed = ((low * 1_000_003) ^ (high * 998_244_353)) * 2_654_435_761 % 2**32
    return mixed / 2**32 < HELD_OUT_SHARE


def _trained_sums(a: int) -> int:
    return sum(not held_out(a, b) for b in range(100 - a))


@cache
def _p_number_first() -> tuple[tuple[float, float], ...]:
    """For each number, the probabilities that a text is an addition, or a comparison, that begins with it."""
    total = sum(_trained_sums(a) for a in range(100))
    return tuple(
        (P_TEXT["addition"] * _trained_sums(a) / total, P_TEXT["comparison"] / 100) for a in range(100)
    )


def _names(probability: float) -> tuple[tuple[Value, float, tuple[str, ...]], ...]:
    return tuple((("name", gender), probability / 2, names) for gender, names in words.NAMES.items())


@cache
def _start() -> Choice:
    plain = P_TEXT["story"] * (1 - P_IRONY)
    numbers = [(("number", a), sum(p), (str(a),)) for a, p in enumerate(_p_number_first())]
    each_city = P_TEXT["capital"] / len(words.CAPITALS)
    return choice(
        (("irony", None), P_TEXT["story"] * P_IRONY, ("oddly",)),
        (("the", None), plain * (1 - P_NAME), ("the",)),
        *_names(plain * P_NAME),
        *numbers,
        (("successor", None), P_TEXT["successor"], ("after",)),
        *((("capital", city), each_city, (city,)) for city, _ in words.CAPITALS),
        (("kind", None), P_TEXT["kind"], ("every",)),
    )


AFTER_IRONY = choice((("the", None), 1 - P_NAME, ("the",)), *_names(P_NAME))
SIZE = choice(("large", 0.3, words.SIZES["large"]), ("small", 0.3, words.SIZES["small"]), (None, 0.4, None))
COLOUR = choice(("warm", 0.15, words.COLOURS["warm"]), ("cool", 0.15, words.COLOURS["cool"]), (None, 0.7, None))
MODIFIER = {
    True: choice(("place", 0.18, words.PREPOSITIONS), ("clause", 0.12, ("that",)), (None, 0.7, None)),
    False: choice(("place", 0.24, words.PREPOSITIONS), ("clause", 0.0, ("that",)), (None, 0.76, None)),
}
"""What follows the subject, animate or not."""
DISTRACTING = choice(
    ("positive", 0.15, words.QUALITIES["positive"]), ("negative", 0.15, words.QUALITIES["negative"]), (None, 0.7, None)
)
DEGREE = choice(("degree", 0.38, words.DEGREES), (None, 0.62, None))


@cache
def _noun(ironic: bool) -> Choice:
    """A noun: (kind, number, gender). Irony with a plural subject is held out."""
    share = {"singular": 1.0, "plural": 0.0} if ironic else {"singular": 0.5, "plural": 0.5}
    options: list[tuple[Value, float, tuple[str, ...]]] = []
    for n, number in enumerate(("singular", "plural")):
        for gender, people in words.PEOPLE.items():
            options.append((("person", number, gender), 0.11 * share[number], tuple(p[n] for p in people)))
        for kind, nouns in words.CATEGORIES.items():
            p = 0.22 if kind == "animal" else 0.08
            options.append(((kind, number, None), p * share[number], tuple(w[n] for w in nouns)))
    return choice(*options, power=0.5)


def verb(forms: tuple[str, str, str], tense: str, number: str) -> str:
    """The form of a verb given as (base, third person, past); the future's is the base, after "will"."""
    base, third, past = forms
    if tense == "past":
        return past
    return third if tense == "present" and number == "singular" else base


def be(tense: str, number: str) -> str:
    """The form of "be"; the future's is "be", after "will"."""
    if tense == "future":
        return "be"
    return {"past": ("was", "were"), "present": ("is", "are")}[tense][number == "plural"]


def other(value: str, pair: tuple[str, str]) -> str:
    """The other one of two values."""
    return pair[value == pair[0]]


NUMBER_VALUES = ("singular", "plural")
SENTIMENTS = ("negative", "positive")
SIZE_VALUES = ("small", "large")
COLOUR_VALUES = ("cool", "warm")


@cache
def _copula(number: str) -> Choice:
    return choice(
        ("past", 0.45, (be("past", number),)), ("present", 0.35, (be("present", number),)), ("future", 0.2, ("will",))
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
    return choice(
        ("past", 0.5, (verb(words.LIKE, "past", number),)), ("present", 0.5, (verb(words.LIKE, "present", number),))
    )


def _pronoun(kind: str, number: str, gender: str | None) -> str:
    if number == "plural":
        return "they"
    return {"feminine": "she", "masculine": "he", None: "it"}[gender]


@cache
def _stop(told: int, left: bool, pronoun: str) -> Choice:
    p = P_STOP[min(told, len(P_STOP) - 1)] if left else 1.0
    return choice((True, p, (END,)), (False, 1 - p, (pronoun,)))


@cache
def _consequence(animate: bool, valence: str, tense: str, number: str) -> tuple[str, ...]:
    verbs = (words.REACTIONS if animate else words.EFFECTS)[valence]
    return tuple(verb(forms, tense, number) for forms in verbs)


WEIGHTS = {"consequence": 3.0, "size": 2.5, "colour": 2.0, "kind": 1.0}


@cache
def follow_words(
    left: tuple[str, ...], animate: bool, valence: str, size: str | None, tense: str, number: str
) -> dict[str, tuple[str, ...]]:
    """The first words of each sentence that may still follow."""
    first = {
        "consequence": _consequence(animate, valence, tense, number),
        "size": (verb(words.SIZE_VERBS[size][0], tense, number),) if size else (),
        "colour": (verb(words.LOOK, tense, number),),
        "kind": (be(tense, number),),
    }
    return {name: first[name] for name in left}


@cache
def _follow(left: tuple[str, ...], animate: bool, valence: str, size: str | None, tense: str, number: str) -> Choice:
    first = follow_words(left, animate, valence, size, tense, number)
    total = sum(WEIGHTS[name] for name in left)
    return choice(*((name, WEIGHTS[name] / total, shown) for name, shown in first.items()))


def _flat(shown: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(word for group in shown.values() for word in group)


def tell(teller: Teller) -> None:
    """Tell one text, from its first word to the end marker."""
    kind, detail = teller.choose("start", _start())  # type: ignore[misc]
    if kind == "number":
        _tell_number(teller, int(str(detail)))
    elif kind == "successor":
        _tell_successor(teller)
    elif kind == "capital":
        _tell_capital(teller, str(detail))
    elif kind == "kind":
        _tell_kind(teller)
    else:
        _tell_story(teller, kind, detail)


def _tell_story(teller: Teller, opening: str, gender: str | None) -> None:
    ironic = opening == "irony"
    if ironic:
        opening, gender = teller.choose("subject.opening", AFTER_IRONY)  # type: ignore[misc]
    kind, number, size, colour = "person", "singular", None, None
    if opening == "the":
        size = teller.choose("size", SIZE)
        colour = teller.choose("colour", COLOUR)
        kind, number, gender = teller.choose("subject", _noun(ironic))  # type: ignore[misc]
    animate = kind in words.ANIMATE
    _tell_modifier(teller, number, animate)
    if teller.marks:
        mine, its = (
            tuple(be(t, n) for t in ("past", "present")) for n in (number, other(number, NUMBER_VALUES))
        )
        teller.expect("number", mine, its)
    tense = str(teller.choose("tense", _copula(number)))
    negated = bool(teller.choose("negation", _negation(tense)))
    if tense == "future":
        teller.say("be")
    teller.choose("degree", DEGREE)
    sentiment = str(teller.choose("sentiment", _sentiment(size, animate)))  # type: ignore[arg-type]
    teller.say(".")
    turned = negated != ironic
    valence = other(sentiment, SENTIMENTS) if turned else sentiment
    why = "irony" if ironic else "negation" if negated else "sentiment"
    _tell_follow_ups(teller, kind, number, gender, tense, valence, why, size, colour)  # type: ignore[arg-type]


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


def _tell_follow_ups(
    teller: Teller,
    kind: str,
    number: str,
    gender: str | None,
    tense: str,
    valence: str,
    why: str,
    size: str | None,
    colour: str | None,
) -> None:
    animate = kind in words.ANIMATE
    pronoun = _pronoun(kind, number, gender)
    present = {"consequence": True, "size": size, "colour": colour, "kind": True}
    left = tuple(name for name, there in present.items() if there)
    told = 0
    while True:
        if teller.marks:
            _expect_pronoun(teller, pronoun)
        if teller.choose(f"stop.{told}", _stop(told, bool(left), pronoun)):
            return
        if tense == "future":
            if teller.marks:
                _expect_will(teller, left, animate, valence, size, number)
            teller.say("will")
        options = _follow(left, animate, valence, size, tense, number)
        if teller.marks:
            _expect_verb(teller, left, animate, valence, size, tense, number, why)
        name = str(teller.choose(f"follow.{told}", options))
        _finish_follow_up(teller, name, animate, kind, size, colour)
        left = tuple(n for n in left if n != name)
        told += 1


def _finish_follow_up(
    teller: Teller, name: str, animate: bool, kind: str, size: str | None, colour: str | None
) -> None:
    if name == "consequence" and not animate:
        teller.say("everyone")
    elif name == "size":
        for word in ("the", "door") if size == "large" else ("inside",):
            teller.say(word)
    elif name == "colour":
        teller.expect("colour", (str(colour),), (other(str(colour), COLOUR_VALUES),))
        teller.say(str(colour))
    elif name == "kind":
        mine = words.KIND_PARTICIPLE[kind]
        teller.expect("category", (mine,), tuple(p for p in words.KIND_PARTICIPLE.values() if p != mine))
        teller.say(mine)
    teller.say(".")


def _expect_pronoun(teller: Teller, pronoun: str) -> None:
    if pronoun in ("she", "he"):
        teller.expect("gender", (pronoun,), (other(pronoun, ("she", "he")),))
    teller.expect("number", (pronoun,), ("they",) if pronoun != "they" else ("it", "she", "he"))


def _expect_will(
    teller: Teller, left: tuple[str, ...], animate: bool, valence: str, size: str | None, number: str
) -> None:
    wrong = (_flat(follow_words(left, animate, valence, size, tense, number)) for tense in ("past", "present"))
    teller.expect("tense", ("will",), tuple(word for group in wrong for word in group))


def _expect_verb(
    teller: Teller,
    left: tuple[str, ...],
    animate: bool,
    valence: str,
    size: str | None,
    tense: str,
    number: str,
    why: str,
) -> None:
    right = _flat(follow_words(left, animate, valence, size, tense, number))
    if tense != "future":
        not_now = other(tense, ("past", "present"))
        teller.expect("tense", right, (*_flat(follow_words(left, animate, valence, size, not_now, number)), "will"))
    if tense == "present":
        others = follow_words(left, animate, valence, size, tense, other(number, NUMBER_VALUES))
        teller.expect("number", right, _flat(others))
    if "consequence" in left:
        mine, not_mine = (_consequence(animate, v, tense, number) for v in (valence, other(valence, SENTIMENTS)))
        teller.expect(why, mine, not_mine)
    if "size" in left and size:
        forms = (verb(words.SIZE_VERBS[s][0], tense, number) for s in (size, other(size, SIZE_VALUES)))
        teller.expect("size", *((form,) for form in forms))


TRUTHS = ("false", "true")


def _tell_verdict(teller: Teller, truth: str, factor: str) -> None:
    for word in (".", "this", "is"):
        teller.say(word)
    teller.expect(factor, (truth,), (other(truth, TRUTHS),))
    teller.say(truth)
    _end(teller)


def _end(teller: Teller) -> None:
    teller.say(".")
    teller.say(END)


@cache
def _country(city: str) -> Choice:
    right = dict(words.CAPITALS)[city]
    wrong = tuple(country for _, country in words.CAPITALS if country != right)
    return choice(("true", 0.5, (right,)), ("false", 0.5, wrong), power=0)


def _tell_capital(teller: Teller, city: str) -> None:
    for word in ("is", "the", "capital", "of"):
        teller.say(word)
    truth = str(teller.choose("truth", _country(city)))
    _tell_verdict(teller, truth, "truth_capital")


@cache
def _thing() -> Choice:
    share = 1 / len(words.CATEGORIES)
    return choice(*((kind, share, tuple(w[0] for w in nouns)) for kind, nouns in words.CATEGORIES.items()), power=0.5)


@cache
def _kind_of(kind: str) -> Choice:
    wrong = tuple(k for k in words.CATEGORIES if k != kind)
    return choice(("true", 0.5, (kind,)), ("false", 0.5, wrong), power=0)


def _tell_kind(teller: Teller) -> None:
    kind = str(teller.choose("thing", _thing()))
    for word in ("is", "a", "kind", "of"):
        teller.say(word)
    truth = str(teller.choose("truth", _kind_of(kind)))
    _tell_verdict(teller, truth, "truth_kind")


@cache
def _sum_or_comparison(a: int) -> Choice:
    addition, comparison = _p_number_first()[a]
    total = addition + comparison
    return choice(("addition", addition / total, ("plus",)), ("comparison", comparison / total, ("is",)))


@cache
def _addend(a: int) -> Choice:
    trained = _trained_sums(a)
    return choice(*((b, 0.0 if held_out(a, b) else 1 / trained, (str(b),)) for b in range(100 - a)))


RELATION = choice(("more", 0.5, ("more",)), ("less", 0.5, ("less",)))


@cache
def _compared(a: int, relation: str) -> Choice:
    def truth(b: int) -> str:
        return TRUTHS[(a > b) if relation == "more" else (a < b)]

    groups: dict[str, list[str]] = {t: [str(b) for b in range(100) if b != a and truth(b) == t] for t in TRUTHS}
    return choice(*((t, len(shown) / 99, shown) for t, shown in groups.items() if shown), power=0)


def _tell_number(teller: Teller, a: int) -> None:
    if teller.choose("operation", _sum_or_comparison(a)) == "comparison":
        relation = str(teller.choose("relation", RELATION))
        teller.say("than")
        truth = str(teller.choose("truth", _compared(a, relation)))
        _tell_verdict(teller, truth, "truth_comparison")
        return
    b = int(str(teller.choose("addend", _addend(a))))
    teller.say("is")
    _tell_result(teller, "addition_held_out" if held_out(a, b) else "addition", a + b)


SUCCEEDED = choice(*((n, 1 / 99, (str(n),)) for n in range(99)))


def _tell_successor(teller: Teller) -> None:
    n = int(str(teller.choose("number", SUCCEEDED)))
    teller.say("comes")
    _tell_result(teller, "successor", n + 1)


def _tell_result(teller: Teller, factor: str, result: int) -> None:
    if teller.marks:
        teller.expect(factor, (str(result),), tuple(n for n in words.NUMBERS if n != str(result)))
    teller.say(str(result))
    _end(teller)
