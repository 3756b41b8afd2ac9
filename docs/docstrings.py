"""How our docstrings become pages: arguments become a list, examples code, the source a line of its own."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SAID = re.compile(r"^([a-z_]+(?:(?:, | and )[a-z_]+)*): ")


class Arguments(griffe.Extension):
    """Makes list items of lines such as ``sites: which to read`` where these are arguments or fields."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Of a function: its parameters."""
        if func.docstring:
            func.docstring.value = listed(func.docstring.value, {one.name for one in func.parameters})

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Of a class: its fields and what it is made from."""
        if cls.docstring:
            names = {*cls.members, *(one.name for one in cls.parameters)}
            cls.docstring.value = listed(cls.docstring.value, names)


def listed(text: str, names: set[str]) -> str:
    """The text in Markdown: a list item for each line that begins with some of the names, examples fenced."""
    return "\n\n".join(_paragraph(one, names) for one in text.split("\n\n"))


def _paragraph(text: str, names: set[str]) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    lines, inside = [], False
    for line in text.removeprefix("Source: ").splitlines():
        found = _SAID.match(line)
        here = re.split(", | and ", found[1]) if found else []
        if found and set(here) <= names:
            said = ", ".join(f"`{name}`" for name in here)
            lines += [*([] if inside or not lines else [""]), f"- {said}: {line[found.end() :]}"]
            inside = True
        else:
            lines += [*([""] if inside and not line.startswith("    ") else []), line]
            inside = inside and line.startswith("    ")
    return ("*Source*: " if text.startswith("Source: ") else "") + "\n".join(lines)
