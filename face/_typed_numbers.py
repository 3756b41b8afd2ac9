"""Numbers as they are typed: what is none, or too small, is refused in one sentence."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import typer


def whole(least: int | None = None) -> Callable[[str | int], int]:
    """How an option reads a whole number, of which the least may be given."""
    return partial(_number, int, "a whole number", least)


def real(least: float | None = None) -> Callable[[str | float], float]:
    """How an option reads a number such as 0.5, of which the least may be given."""
    return partial(_number, float, "a number", least)


def position(given: str) -> int | str:
    """How an option reads a token position: an index is a number, all else a word."""
    return int(given) if re.fullmatch(r"-?\d+", given) else given


def _number(kind: Any, what: str, least: float | None, given: Any) -> Any:
    """A number as it was typed.

    Raises:
        typer.BadParameter: it is none, NaN, or below the least.
    """
    wanted = what if least is None else f"{what} from {least} on"
    try:
        number = kind(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is not {wanted}") from None
    if number != number or (least is not None and number < least):
        raise typer.BadParameter(f"{given} is not {wanted}")
    return number
