"""Prompts that say more of a word than a text can."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Examples, Intervention, Where
from conceptscope.hooks._positions import Position


def overprompt(factor: float, positions: Position = "span") -> Intervention:
    """Multiply the token embeddings of a prompt's spans by a factor, beyond what any text makes of them.

    positions: which tokens; by default those in the spans of the Examples that the model is given.

    Raises:
        ValueError: a factor that is not finite.

    Source: Park et al., arXiv 2406.19370, section 4.3 (there on the conditioning of an image model).

    >>> import conceptscope as cs, re
    >>> model, text = cs.load_model("tinyworld"), ["the dog was big ."]
    >>> before = cs.capture(model, text, "embed", position=3)["embed"]
    >>> with cs.intervene(model, cs.overprompt(2.0, re.compile("big"))):
    ...     after = cs.capture(model, text, "embed", position=3)["embed"]
    >>> bool((after == 2 * before).all())
    True
    """
    if not math.isfinite(factor):
        raise ValueError(f"the factor of an overprompt must be finite, got {factor!r}")
    return Intervention("embed", _Scaled(float(factor)), positions, name=f"overprompt {factor:g}")


@dataclass(frozen=True)
class _Scaled:
    """Multiplies each row by the factor."""

    factor: float

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        return x * self.factor


def repeat_spans(examples: Examples, times: int) -> Examples:
    """The same examples with each span's text said so many times, with spaces between; spans cover them all.

    Raises:
        ValueError: less than one time, or an example that is a chat or has no span.

    >>> import conceptscope as cs
    >>> cs.repeat_spans(cs.Examples(["a very big dog"], spans=[(2, 6)]), 3).texts
    ['a very very very big dog']
    """
    if isinstance(times, bool) or not isinstance(times, int) or times < 1:
        raise ValueError(f"times must be a whole number from 1 on, got {times!r}")
    given = examples.spans or [None] * len(examples.texts)
    said = [
        _repeated(row, text, span, times)
        for row, (text, span) in enumerate(zip(examples.texts, given, strict=True))
    ]
    return replace(examples, texts=[text for text, _ in said], spans=[spans for _, spans in said])


def _repeated(row: int, text: object, span: object, times: int) -> tuple[str, list[tuple[int, int]]]:
    if not isinstance(text, str) or not span:
        raise ValueError(
            f"example {row} {'has no span' if isinstance(text, str) else 'is a chat'}: "
            "give texts as Examples(texts, spans=[(start, end), ...])"
        )
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    done = 0
    for start, end in _listed(span):
        parts.append(text[done:start])
        begin = sum(map(len, parts))
        parts.append(" ".join([text[start:end]] * times))
        spans.append((begin, begin + len(parts[-1])))
        done = end
    return "".join([*parts, text[done:]]), spans


def _listed(span: object) -> Sequence[tuple[int, int]]:
    """A span, or several, in the order of the text."""
    listed = [span] if isinstance(span, tuple) and isinstance(span[0], int) else span
    return sorted(listed)  # type: ignore[call-overload, no-any-return]
