"""Where in a transformer: a kind of activation, a layer, and perhaps a head."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass

KINDS: tuple[str, ...] = (
    "embed",
    "resid_pre",
    "q",
    "k",
    "v",
    "z",
    "attn_out",
    "resid_mid",
    "mlp_post",
    "mlp_out",
    "resid_post",
)
"""The kinds of site, in the order in which a forward pass computes them."""

HEAD_KINDS: tuple[str, ...] = ("q", "k", "v", "z")
"""The kinds whose tensors have a head axis."""

_LENS_BLOCK = re.compile(r"blocks\.(-?\d+)\.(.+)")
_LENS_PLACES = {
    "hook_in": "resid_pre",
    "hook_out": "resid_post",
    "attn.hook_out": "attn_out",
    "mlp.hook_out": "mlp_out",
    "mlp.hook_post": "mlp_post",
    **{f"hook_{kind}": kind for kind in KINDS if "_" in kind and kind != "mlp_post"},
    **{f"attn.hook_{kind}": kind for kind in HEAD_KINDS},
}
_KIND_AND_NUMBERS = re.compile(r"(\w+)((?:\.-?\d+){0,2})")
_NO_POINT = re.compile(r"(\w+?)[_ -]?(\d+)")
_MODULE_PATH = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


@functools.total_ordering
@dataclass(frozen=True)
class Site:
    """A place in a transformer, in TransformerLens's words; layers and heads count from 0.

    A raw module path is a site too: its kind is the path, and it has no layer. Sites sort in the order of a
    forward pass: by layer, then by place in the block. A name alone is read as `Site.parse` reads it.

    Raises:
        ValueError: the kind is unknown, or a layer or head is missing or does not belong to the kind.

    >>> import conceptscope as cs
    >>> str(cs.Site("resid_post", 6)), str(cs.Site("z", 6, 3)), str(cs.Site("embed"))
    ('resid_post.6', 'z.6.3', 'embed')
    """

    kind: str
    layer: int | None = None
    head: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise TypeError(f"expected a site like 'resid_post.6', got {self.kind!r}")
        if self.layer is None and self.head is None:
            for field, value in zip(("kind", "layer", "head"), _read(self.kind), strict=True):
                object.__setattr__(self, field, value)
        if self.kind in KINDS:
            self._check_kind()
        elif self.kind.split(".")[0] in KINDS:
            raise ValueError(f"site {str(self)!r}: after the kind come numbers, as in 'z.6.3'")
        elif self.layer is not None or _close(self.kind):
            raise ValueError(_unknown(self.kind, str(self)))
        elif not _MODULE_PATH.fullmatch(self.kind):
            raise ValueError(
                f"{self.kind!r} is not a site: expected one like 'resid_post.6' or 'z.6.3', "
                "or a module path like 'transformer.h.3.mlp'"
            )

    def _check_kind(self) -> None:
        if self.kind == "embed":
            if self.layer is not None:
                raise ValueError(f"site 'embed' has no layer, but layer {self.layer} was given")
        elif self.layer is None:
            raise ValueError(f"site {self.kind!r} needs a layer: write '{self.kind}.0' for the first one")
        if self.head is not None and self.kind not in HEAD_KINDS:
            raise ValueError(f"site {self.kind!r} has no heads: only {', '.join(HEAD_KINDS)} have")

    @classmethod
    def parse(cls, site: Site | str) -> Site:
        """Read a site from its name, from TransformerLens's name, or from a module path.

        Negative layers are kept as they are: only a model can resolve them.

        Raises:
            TypeError: neither a string nor a site.
            ValueError: no such kind, or a layer is missing.

        >>> import conceptscope as cs
        >>> cs.Site.parse("blocks.6.hook_resid_post")
        Site('resid_post.6')
        >>> cs.Site.parse("transformer.h.3.mlp").layer is None
        True
        """
        return site if isinstance(site, Site) else cls(site)

    @property
    def is_module(self) -> bool:
        """Whether the site is a raw module path and not a kind with a layer."""
        return self.kind not in KINDS

    def __str__(self) -> str:
        return ".".join(str(part) for part in (self.kind, self.layer, self.head) if part is not None)

    def __repr__(self) -> str:
        return f"Site({str(self)!r})"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Site):
            return NotImplemented
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, int, int, list[tuple[int, int, str]]]:
        if self.is_module:
            return 2, 0, 0, 0, _natural(self.kind)
        layer = -1 if self.layer is None else self.layer
        head = -1 if self.head is None else self.head
        return int(self.kind != "embed"), layer, KINDS.index(self.kind), head, []


def _read(name: str) -> tuple[str, int | None, int | None]:
    """The kind, layer and head that a name says."""
    if name == "hook_embed":
        return "embed", None, None
    if block := _LENS_BLOCK.fullmatch(name):
        return _read_lens(name, int(block[1]), block[2])
    parts = _KIND_AND_NUMBERS.fullmatch(name)
    if not parts or not (parts[1] in KINDS or _close(parts[1])):
        return name, None, None
    numbers = [int(number) for number in parts[2].split(".")[1:]]
    return parts[1], numbers[0] if numbers else None, numbers[1] if len(numbers) > 1 else None


def _read_lens(name: str, layer: int, place: str) -> tuple[str, int | None, None]:
    if place in _LENS_PLACES:
        return _LENS_PLACES[place], layer, None
    if "hook_" not in place:
        return name, None, None
    near = difflib.get_close_matches(place, _LENS_PLACES, n=1)
    if near:
        raise ValueError(f"unknown site {name!r}: did you mean 'blocks.{layer}.{near[0]}'?")
    raise ValueError(f"unknown site {name!r}: in a block there are {', '.join(_LENS_PLACES)}")


def _close(kind: str) -> list[str]:
    return difflib.get_close_matches(kind.lower(), KINDS, n=1, cutoff=0.75)


def _unknown(kind: str, name: str) -> str:
    glued = _NO_POINT.fullmatch(name)
    if glued and (near := _close(glued[1])):
        return f"unknown site {name!r}: did you mean '{near[0]}.{glued[2]}'?"
    near = _close(kind)
    if near:
        return f"unknown site {name!r}: did you mean {near[0] + name[len(kind) :]!r}?"
    return f"unknown site {name!r}: the kinds are {', '.join(KINDS)}"


def _natural(path: str) -> list[tuple[int, int, str]]:
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in path.split(".")]
