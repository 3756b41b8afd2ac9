"""One vocabulary of token positions, for capture and for intervention."""

from __future__ import annotations

import difflib
import functools
import operator
import re

from conceptscope.hooks._prompts import Prompt

Position = str | int | re.Pattern[str]
"""A rule for token positions; the words are in `WORDS` and `ROLES`, and words may be joined with |."""

WORDS = ("last", "first", "mean", "all", "prompt", "generated", "span")
ROLES = ("system", "user", "assistant", "tool")


def check_position(position: Position, *, for_capture: bool) -> None:
    """Refuse a rule that no prompt could satisfy.

    Raises:
        TypeError: neither a word, an integer nor a compiled regular expression.
        ValueError: an unknown word, "mean" for an intervention, or "generated" for a capture.
    """
    if isinstance(position, re.Pattern):
        return
    if not isinstance(position, str):
        if isinstance(position, bool) or not hasattr(position, "__index__"):
            raise TypeError(
                f"expected a position like 'last', -1 or re.compile('cat'), got {position!r} "
                f"of type {type(position).__name__}"
            )
        return
    for word in _words(position):
        if word not in WORDS + ROLES:
            near = difflib.get_close_matches(word, WORDS + ROLES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            if word.removeprefix("-").isdecimal():
                hint = f"did you mean the integer {word}? "
            raise ValueError(
                f"unknown position {word!r}: {hint}the words are {', '.join(WORDS + ROLES)}; "
                "there are also integers and re.compile(...)"
            )
        if word == "mean" and (not for_capture or "|" in position):
            raise ValueError(f"position {position!r}: 'mean' is for capture only and on its own")
        if word == "generated" and for_capture:
            raise ValueError(
                f"position {position!r}: a capture sees the prompt only; append the generated text to it"
            )


def prompt_positions(position: Position, prompt: Prompt, *, for_capture: bool) -> list[int]:
    """Indices into ``prompt.ids`` that a rule selects, ascending; "mean" selects all content tokens.

    Raises:
        ValueError: an index outside the prompt, or a pattern, span or role that no token meets.
    """
    check_position(position, for_capture=for_capture)
    if isinstance(position, re.Pattern):
        return _matches(position, prompt)
    if not isinstance(position, str):
        return [_indexed(operator.index(position), prompt)]
    found: set[int] = set()
    for word in _words(position):
        found.update(_of_word(word, prompt))
    return sorted(found)


@functools.lru_cache(maxsize=256)
def acts_on_generated(position: Position) -> bool:
    """Whether a rule selects the tokens that are generated after the prompt."""
    return isinstance(position, str) and not {"all", "generated"}.isdisjoint(_words(position))


def _words(position: str) -> list[str]:
    return [word.strip() for word in position.split("|")]


def _of_word(word: str, prompt: Prompt) -> list[int]:
    if word in ("all", "prompt", "mean"):
        return list(prompt.content)
    if word == "generated":
        return []
    if word in ("first", "last"):
        return [_indexed(0 if word == "first" else -1, prompt)]
    if word == "span":
        if not prompt.spans:
            raise ValueError(f"position 'span', but {_shown(prompt)} has no span: give Examples(spans=...)")
        return _meeting(list(prompt.spans), prompt, "span")
    spans = [(start, end) for role, start, end in prompt.roles if role == word]
    if not spans:
        raise ValueError(
            f"position {word!r} is a chat role, and {_shown(prompt)} has no message of it: "
            "give the text as a list of messages with role and content"
        )
    return _meeting(spans, prompt, f"{word} message")


def _indexed(index: int, prompt: Prompt) -> int:
    n = len(prompt.content)
    if n == 0:
        raise ValueError(f"position {index}: {_shown(prompt)} has no tokens but special ones")
    if not -n <= index < n:
        raise ValueError(
            f"position {index} is outside {_shown(prompt)}, which has {n} tokens: use {-n} to {n - 1}"
        )
    return prompt.content[index]


def _matches(pattern: re.Pattern[str], prompt: Prompt) -> list[int]:
    spans = [match.span() for match in pattern.finditer(prompt.text) if match.end() > match.start()]
    if prompt.text and not spans:
        raise ValueError(f"the pattern {pattern.pattern!r} matches nothing in {_shown(prompt)}")
    return _meeting(spans, prompt, f"match of {pattern.pattern!r}")


def _meeting(spans: list[tuple[int, int]], prompt: Prompt, what: str) -> list[int]:
    """The content tokens that share a character with one of the spans."""
    if not prompt.offsets:
        raise ValueError(
            f"the tokens of a {what} cannot be found in {_shown(prompt)}: this needs a text, given to "
            "capture, generate or next_token_logits, and a fast tokenizer"
        )
    found = [
        index
        for index in prompt.content
        if any(
            max(start, prompt.offsets[index][0]) < min(end, prompt.offsets[index][1]) for start, end in spans
        )
    ]
    if not found:
        raise ValueError(f"no token of {_shown(prompt)} lies in a {what}")
    return found


def _shown(prompt: Prompt) -> str:
    if not prompt.text:
        return "the prompt given as token ids"
    return repr(prompt.text if len(prompt.text) <= 60 else prompt.text[:57] + "...")
