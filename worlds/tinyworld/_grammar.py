"""The grammar: one text told through a teller, which samples it, reads it or rewrites it.

Each choice is made when its first word appears, so that the probability of every word given the words
before it is a product of the probabilities written here.
"""

from functools import cache

from conceptscope.worlds.tinyworld import _lexicon as words
from conceptscope.worlds.tinyworld._choice import Choice, choice
from conceptscope.worlds.tinyworld._frequencies import P_IRONY, P_NAME, P_TEXT
from conceptscope.worlds.tinyworld._numbers import p_number_first, tell_number, tell_successor
from conceptscope.worlds.tinyworld._statements import tell_capital, tell_kind
from conceptscope.worlds.tinyworld._stories import names, tell_story
from conceptscope.worlds.tinyworld._teller import Teller


@cache
def _start() -> Choice:
    plain = P_TEXT["story"] * (1 - P_IRONY)
    numbers = [(("number", a), sum(p), (str(a),)) for a, p in enumerate(p_number_first())]
    each_city = P_TEXT["capital"] / len(words.CAPITALS)
    return choice(
        (("irony", None), P_TEXT["story"] * P_IRONY, ("oddly",)),
        (("the", None), plain * (1 - P_NAME), ("the",)),
        *names(plain * P_NAME),
        *numbers,
        (("successor", None), P_TEXT["successor"], ("after",)),
        *((("capital", city), each_city, (city,)) for city, _ in words.CAPITALS),
        (("kind", None), P_TEXT["kind"], ("every",)),
    )


def tell(teller: Teller) -> None:
    """Tell one text, from its first word to the end marker."""
    kind, detail = teller.choose("start", _start())
    if kind == "number":
        tell_number(teller, detail)
    elif kind == "successor":
        tell_successor(teller)
    elif kind == "capital":
        tell_capital(teller, detail)
    elif kind == "kind":
        tell_kind(teller)
    else:
        tell_story(teller, kind, detail)
