"""The forms of words, and the values of the factors that they show."""

TENSES = ("past", "present", "future")
NUMBER_VALUES = ("singular", "plural")
SENTIMENTS = ("negative", "positive")
SIZE_VALUES = ("small", "large")
COLOUR_VALUES = ("cool", "warm")
TRUTHS = ("false", "true")


def other(value: str, pair: tuple[str, str]) -> str:
    """The other one of two values."""
    return pair[value == pair[0]]


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


def pronoun(number: str, gender: str | None) -> str:
    """The pronoun of a subject; the gender of things and animals is None."""
    if number == "plural":
        return "they"
    return {"feminine": "she", "masculine": "he", None: "it"}[gender]
