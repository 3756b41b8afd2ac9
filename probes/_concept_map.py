"""A concept whose direction depends on a context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Intervention, Site
from conceptscope.hooks._positions import Position
from conceptscope.hooks._tensor_file import read_tensors, write_tensors
from conceptscope.probes._concept import Concept
from conceptscope.probes._contexts import context_vectors
from conceptscope.probes._described import as_table, in_brief
from conceptscope.probes._map_edits import MapEdit, by_example, by_own_activation
from conceptscope.probes._rows import as_float64

_KIND, _VERSION = "concept map", 1
_TENSORS = ("matrix", "spread", "middle", "mean")
_ABOUT = ("classes", "position", "name", "method", "model_name", "own_contexts", "source")


@dataclass(frozen=True, eq=False, repr=False)
class ConceptMap:
    """A concept with one direction for each context c: M c / |M c|, both for reading and for steering.

    matrix M (d, context), in activation units times those of the contexts. spread (r, d): |spread v| is the
    standard deviation of the fit data along v. middle (d,): where every direction reads zero; mean (d,): the
    mean of the fit data. own_contexts: whether the contexts of the fit were activations at the site.
    classes: two, and positive is the last.

    Raises:
        ValueError: parts of different shapes, or numbers that are not finite.

    >>> import conceptscope as cs
    >>> import torch
    >>> matrix, zero = torch.tensor([[2.0, -2.0], [0.0, 0.0]]), torch.zeros(2)
    >>> turned = cs.ConceptMap(matrix, torch.eye(2), zero, zero, site="resid_post.0")
    >>> turned.direction([1, 0]), turned.direction([0, 1])
    (tensor([1., 0.]), tensor([-1.,  0.]))
    """

    matrix: Float[Tensor, "d context"]
    spread: Float[Tensor, "r d"]
    middle: Float[Tensor, " d"]
    mean: Float[Tensor, " d"]
    classes: tuple[Any, ...] = ()
    _: KW_ONLY
    site: Site | str
    position: Position | None = None
    name: str = ""
    method: str = ""
    model_name: str = ""
    own_contexts: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.matrix.ndim != 2 or not self.matrix.is_floating_point() or not self.matrix.numel():
            raise ValueError(f"matrix must be floats of shape (d, context), got {tuple(self.matrix.shape)}")
        object.__setattr__(self, "site", Site.parse(self.site))
        object.__setattr__(self, "classes", tuple(self.classes))
        if self.own_contexts and self.context_width != self.d:
            raise ValueError(
                f"contexts of its own have width {self.d}, and the matrix takes {self.context_width}"
            )
        shapes = {"spread": (len(self.spread), self.d), "middle": (self.d,), "mean": (self.d,)}
        for part in _TENSORS:
            value = getattr(self, part)
            if value.shape != shapes.get(part, value.shape):
                raise ValueError(f"{part} must have shape {shapes[part]}, got {tuple(value.shape)}")
            if not value.isfinite().all():
                raise ValueError(f"{part} has entries that are not finite")

    @property
    def d(self) -> int:
        """The width of the activations."""
        return self.matrix.shape[0]

    @property
    def context_width(self) -> int:
        """The width of the contexts."""
        return self.matrix.shape[1]

    def direction(self, context: Any) -> Float[Tensor, "*context d"]:
        """M c / |M c| for one context or for several, (..., context): a tensor, an array or a list.

        Raises:
            ValueError: contexts of another width, that are not finite, or for which M c is zero.
        """
        matrix = as_float64(self.matrix)
        given = context_vectors(context).to(matrix.device)
        if given.shape[-1:] != (self.context_width,):
            raise ValueError(
                f"{self!r} takes contexts of width {self.context_width}, got shape {tuple(given.shape)}"
            )
        towards = given @ matrix.T
        length = towards.norm(dim=-1, keepdim=True)
        rounding = torch.finfo(self.matrix.dtype).eps * matrix.norm() * given.norm(dim=-1, keepdim=True)
        if not (length > rounding).all():
            raise ValueError(
                f"{self!r} has no direction for {int((length <= rounding).sum())} of the contexts: they have "
                "nothing in common with those of the fit (M c is zero)"
            )
        unit: Tensor = (towards / length).to(self.matrix)
        return unit

    def at(self, context: Any) -> Concept:
        """The concept for one context: it reads and steers along the context's direction.

        Its scale is the standard deviation of all the fit data along the direction, and its boundary the
        middle of all questions, whatever their contexts.

        Raises:
            ValueError: a context of another shape, or one for which M c is zero.
        """
        direction = self.direction(context)
        if direction.ndim != 1:
            raise ValueError(
                f"a concept is made for one context, got {tuple(direction.shape[:-1])} of them: "
                "add(amount, contexts=...) takes one for each example"
            )
        return Concept(
            direction,
            offset=(direction @ self.middle)[None],
            scale=(self.spread @ direction).norm()[None],
            mean=self.mean,
            classes=self.classes,
            site=self.site,
            position=self.position,
            name=self.name,
            method=self.method,
            model_name=self.model_name,
            source=self.source,
        )

    def add(
        self, amount: float, *, contexts: Any = None, positions: Position = "all", force: bool = False
    ) -> Intervention:
        """An intervention after which each reading along its own context's direction has risen by amount.

        The unit is the standard deviation of the fit data along that direction: h + amount std(d) d.
        contexts: (example, context), one for each text that the model will be given, in their order. None:
        each activation, as it is met, is its own context, where the fit's contexts were activations too;
        one with M h = 0 stays as it is. These contexts were means of the *negative* class in the fit: an
        activation of the positive class may be given a poor direction.
        force: allows another model than that of the fit.

        Raises:
            ValueError: no contexts where the map needs them, contexts of another shape, or M c that is zero;
                when the model runs, an example without a context or activations of another width.
        """
        if contexts is None:
            if not self.own_contexts:
                raise ValueError(
                    f"{self!r} was fitted on given contexts: give contexts=, one of width "
                    f"{self.context_width} for each text"
                )
            shift = by_own_activation(self.matrix, self.spread, amount)
        else:
            directions = self.direction(contexts)
            if directions.ndim != 2:
                raise ValueError(
                    f"contexts must be (example, {self.context_width}), one for each text, got "
                    f"{(*directions.shape[:-1], self.context_width)}: for one, at(context).add(amount)"
                )
            deviation = (directions @ self.spread.T).norm(dim=1, keepdim=True)
            shift = by_example(amount * deviation * directions)
        edit = MapEdit(self, shift, "" if force else self.model_name)
        return Intervention(self.site, edit, positions, f"{self.name or 'concept map'}: add {amount}")

    def to(self, *args: Any, **kwargs: Any) -> ConceptMap:
        """The same map on another device or in another dtype, as in `Tensor.to`."""
        return replace(self, **{part: getattr(self, part).to(*args, **kwargs) for part in _TENSORS})

    def save(self, path: str | Path) -> None:
        """Write the map to a safetensors file, which appears only when it is complete.

        Raises:
            TypeError: classes or provenance that are neither numbers nor text.
        """
        about = {part: getattr(self, part) for part in _ABOUT} | {"site": str(self.site)}
        tensors = {part: getattr(self, part) for part in _TENSORS}
        write_tensors(path, tensors, about, kind=_KIND, version=_VERSION)

    @classmethod
    def load(cls, path: str | Path) -> ConceptMap:
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file is cut short, or holds no concept map, or one of another version.
        """
        tensors, about = read_tensors(path, kind=_KIND, version=_VERSION)
        parts: dict[str, Any] = {part: tensor.clone() for part, tensor in tensors.items()} | about
        wanted = (*_TENSORS, *_ABOUT, "site")
        if missing := [part for part in wanted if part not in parts]:
            raise ValueError(f"{path} is no whole concept map: it lacks {', '.join(missing)}")
        return cls(**{part: parts[part] for part in wanted})

    def __repr__(self) -> str:
        return in_brief(self, self.d, self.context_width)

    def _repr_html_(self) -> str:
        shown: dict[str, Any] = {"site": self.site, "width": self.d, "width of contexts": self.context_width}
        shown |= {"contexts": "the activations' own" if self.own_contexts else "given", "method": self.method}
        shown |= {"classes": ", ".join(map(str, self.classes)), "model": self.model_name}
        shown |= {"position": self.position, "questions": self.source.get("n_questions")}
        return as_table(f"ConceptMap {self.name}", shown)
