"""How our docstrings become pages: arguments become a list, examples code, public names links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

_EXPORTED = re.compile(r"^from \.(\w+) import (\w+) as", re.MULTILINE)
_FACE = Path(__file__).parents[1] / "face" / "__init__.pyi"
PUBLIC = {name: f"conceptscope.{room}.{name}" for room, name in _EXPORTED.findall(_FACE.read_text("utf-8"))}
_SAID = re.compile(r"(?:^|(?<=[.;] ))([A-Za-z_]+(?:(?:, | and )[A-Za-z_]+)*): ")


class Arguments(griffe.Extension):
    """Makes list items of lines such as ``sites: which to read`` where these are arguments or fields."""

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        """Of a function: its parameters."""
        if func.docstring:
            func.docstring.value = listed(func.docstring.value, {one.name for one in func.parameters})

    def on_module(self, *, mod: griffe.Module, **kwargs: Any) -> None:
        """Of a room: nothing, since its page says what is in it."""
        if mod.is_subpackage and mod.path.count(".") == 1:
            mod.docstring = None

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Of a class: its fields and what it is made from."""
        if cls.docstring:
            names = {*cls.members, *(one.name for one in cls.parameters)}
            cls.docstring.value = listed(cls.docstring.value, names)


def listed(text: str, names: set[str]) -> str:
    """The text in Markdown: a list item wherever some of the names are said, examples fenced, links."""
    return linked("\n\n".join(_paragraph(one, names) for one in text.split("\n\n")))


def linked(text: str) -> str:
    """The text with each public name that stands in backquotes, outside of fences, leading to its place."""
    outside = re.split(r"(^```.*?^```$)", text, flags=re.DOTALL | re.MULTILINE)
    outside[::2] = [re.sub(r"(?<!\[)`(\w+)`(?!\])", _link, part) for part in outside[::2]]
    return "".join(outside)


def _link(name: re.Match[str]) -> str:
    return f"[{name[0]}][{PUBLIC[name[1]]}]" if name[1] in PUBLIC else name[0]


def _paragraph(text: str, names: set[str]) -> str:
    if text.startswith(">>> "):
        return f"```pycon\n{text}\n```"
    lines = text.removeprefix("Source: ").splitlines()
    hanging = any(line.startswith("    ") for line in lines)
    found: list[str] = []
    inside = False
    for piece in (piece for line in lines for piece in _pieces(line, names)):
        item = _item(piece, names)
        if (item and not inside) or (inside and not item and hanging and not piece.startswith("    ")):
            found.append("")
            inside = not inside
        found.append(item or piece)
    return ("*Source*: " if text.startswith("Source: ") else "") + "\n".join(found)


def _pieces(line: str, names: set[str]) -> list[str]:
    """The line, cut before each place where some of the names are said."""
    cuts = sorted({0, *(found.start() for found in _SAID.finditer(line) if set(_said(found)) <= names)})
    ends = [*cuts[1:], len(line)]
    return [line[start:end].rstrip() for start, end in zip(cuts, ends, strict=True)]


def _item(piece: str, names: set[str]) -> str:
    """A list item, or nothing where the piece does not begin with some of the names."""
    found = _SAID.match(piece)
    if not found or not set(_said(found)) <= names:
        return ""
    said = ", ".join(f"`{name}`" for name in _said(found))
    return f"- {said}: {piece[found.end() :]}"


def _said(found: re.Match[str]) -> list[str]:
    return re.split(", | and ", found[1])
