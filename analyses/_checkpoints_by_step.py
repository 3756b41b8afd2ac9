"""The training step that a checkpoint's name holds."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAMED = re.compile(r"(?:step|checkpoint|ckpt)[-_]?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")


def step_of(name: str) -> int | None:
    """The number after "step" or "checkpoint", or else the last number; None without one.

    >>> step_of("stage1-step1000-tokens4B"), step_of("checkpoint-500"), step_of("epoch_3"), step_of("main")
    (1000, 500, 3, None)
    """
    named = _NAMED.search(name)
    if named:
        return int(named.group(1))
    numbers = _NUMBER.findall(name)
    return int(numbers[-1]) if numbers else None


def says_step(name: str) -> bool:
    """Whether the name says that its number is a step.

    >>> says_step("step1000"), says_step("v1.0")
    (True, False)
    """
    return _NAMED.search(name) is not None


def by_step(names: Iterable[str], of: str, remedy: str) -> dict[int, str]:
    """The names by their steps, in the order of steps; all must have one.

    Raises:
        ValueError: a name without a number, or two with the same step.
    """
    found: dict[int, str] = {}
    for name in names:
        step = step_of(name)
        if step is None:
            raise ValueError(f"{name!r} of {of} holds no step, as 'step100' does: {remedy}")
        if step in found:
            raise ValueError(f"{found[step]!r} and {name!r} of {of} are both step {step}: {remedy}")
        found[step] = name
    return dict(sorted(found.items()))
