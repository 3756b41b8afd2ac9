"""A rule for positions that was noted as text, as activations and concepts note where they were read."""

from __future__ import annotations

import ast
import functools
import operator
import re

from conceptscope.hooks._positions import ROLES, WORDS, Position

_PATTERN = re.compile(r"re\.compile\((.+?)(?:, (re\.[A-Z]+(?:\|re\.[A-Z]+)*))?\)", re.DOTALL)


def noted_position(said: str) -> Position | None:
    """The rule, or None where the text is none: Python notes a pattern of more than 200 characters in part.

    >>> noted_position("last"), noted_position("-1"), noted_position(str(re.compile("cat", re.IGNORECASE)))
    ('last', -1, re.compile('cat', re.IGNORECASE))
    """
    if re.fullmatch(r"-?\d+", said):
        return int(said)
    if all(word.strip() in WORDS + ROLES for word in said.split("|")):
        return said
    pattern = _PATTERN.fullmatch(said)
    return None if pattern is None else _compiled(*pattern.groups())


def _compiled(literal: str, flags: str | None) -> re.Pattern[str] | None:
    names = [name.removeprefix("re.") for name in (flags or "NOFLAG").split("|")]
    try:
        text = ast.literal_eval(literal)
        return re.compile(text, functools.reduce(operator.or_, (re.RegexFlag[name] for name in names)))
    except (SyntaxError, ValueError, KeyError, TypeError, re.error):
        return None
