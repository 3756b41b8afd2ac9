"""What a model computed at some sites, with what is known about the inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks._rows import Rows, as_list, check_size, selected_rows, take
from conceptscope.hooks._site import Site
from conceptscope.hooks._tensor_file import read_tensors, write_tensors

_KIND, _VERSION = "activations", 1
_PARALLEL = ("labels", "groups", "pairs", "contexts")
_ABOUT = (*_PARALLEL, "example", "position", "source")
_SAVED = "site:"


def check_activations(given: Any) -> None:
    """Refuse what holds no activations.

    Raises:
        TypeError: something else, such as the texts themselves.
    """
    if not isinstance(given, Activations):
        raise TypeError(
            f"expected activations as capture gives them, got {type(given).__name__}: "
            "write capture(model, examples), or Activations({'resid_post.0': tensor}, labels)"
        )


class Activations(Mapping[Site, Tensor]):
    """A tensor for each site, one row an example (or a token), with labels, groups, pairs and contexts.

    Shapes: (example, d), and (example, head, d_head) for z, q, k and v; any numpy array or tensor of floats.
    example: each row's example in the user's order; position: its token's index in the prompt. Where several
    rows share an example (position="all") and no groups are given, an example is a group.
    source: where it came from, such as model_name, n_layers and position (the rule).

    Raises:
        TypeError: a tensor that is not of floats.
        ValueError: no sites, rows of different number, or a list of another length.

    >>> import conceptscope as cs
    >>> import torch
    >>> tensors = {"resid_post.0": torch.eye(3), "resid_post.1": torch.ones(3, 2)}
    >>> acts = cs.Activations(tensors, ["a", "b", "b"])
    >>> acts
    Activations(3 rows, resid_post.0 (3), resid_post.1 (2), labels of 2 classes)
    >>> acts[1:].labels, acts["resid_post.0"].shape
    (['b', 'b'], torch.Size([3, 3]))
    """

    labels: list[Any] | None
    groups: list[Any] | None
    pairs: list[Any] | None
    contexts: Any
    example: Int[Tensor, " example"]
    position: Int[Tensor, " example"] | None
    source: dict[str, Any]

    def __init__(
        self,
        tensors: Mapping[Any, Any],
        labels: Any = None,
        *,
        groups: Any = None,
        pairs: Any = None,
        contexts: Any = None,
        example: Any = None,
        position: Any = None,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        self._tensors: Mapping[Site, Tensor] = {
            Site.parse(site): _as_floats(site, value) for site, value in tensors.items()
        }
        lengths = {str(site): len(value) for site, value in self._tensors.items()}
        if not lengths:
            raise ValueError("there are no activations: at least one site is needed")
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all sites need the same number of rows, got {lengths}")
        self._n = next(iter(lengths.values()))
        given = {"labels": labels, "groups": groups, "pairs": pairs, "contexts": contexts}
        for name, values in given.items():
            setattr(self, name, self._parallel(name, values))
        self.example = torch.arange(self._n) if example is None else self._whole_numbers("example", example)
        self.position = None if position is None else self._whole_numbers("position", position)
        self.source = dict(source or {})
        if self.groups is None and len(set(self.example.tolist())) < self._n:
            self.groups = self.example.tolist()

    def _parallel(self, name: str, values: Any) -> Any:
        if values is None:
            return None
        listed = values if name == "contexts" and hasattr(values, "shape") else as_list(values)
        if len(listed) != self._n:
            raise ValueError(f"{len(listed)} {name} for {self._n} rows of activations: each row needs one")
        return listed

    def _whole_numbers(self, name: str, values: Any) -> Tensor:
        numbers = torch.as_tensor(values, dtype=torch.int64).cpu()
        if numbers.shape != (self._n,):
            raise ValueError(f"{name} has shape {tuple(numbers.shape)} for {self._n} rows of activations")
        return numbers

    @property
    def n_rows(self) -> int:
        """How many rows every tensor has; `len` is the number of sites, as in any mapping."""
        return self._n

    @property
    def sites(self) -> list[Site]:
        """The sites, in the order of a forward pass."""
        return sorted(self._tensors)

    @overload
    def __getitem__(self, key: str | Site) -> Tensor: ...

    @overload
    def __getitem__(self, key: slice | Sequence[int] | np.ndarray | Tensor) -> Activations: ...

    def __getitem__(self, key: Any) -> Tensor | Activations:
        """The tensor of a site, or the Activations of the rows that a slice, mask or list selects."""
        if isinstance(key, str | Site):
            return self.at(key)
        if isinstance(key, int):
            raise TypeError(f"rows are selected by a slice, a mask or a list: write [{key}:{key + 1}]")
        return self._rows(range(self._n)[key] if isinstance(key, slice) else selected_rows(key, self._n))

    def at(self, key: str | Site) -> Tensor:
        """The tensor of a site, as in `activations[site]`.

        Raises:
            KeyError: it was not captured.
        """
        site = self.key(key)
        if site in self._tensors:
            return self._tensors[site]
        return self._tensors[Site(site.kind, site.layer)][:, site.head]

    def key(self, site: str | Site | None = None) -> Site:
        """The captured site that a name means, or the only one there is; a head of a captured z is one, too.

        Raises:
            KeyError: it was not captured.
            ValueError: none was named, and several were captured.
        """
        if site is None:
            if len(self) > 1:
                raise ValueError(f"say which site: {self._captured()}")
            return self.sites[0]
        try:
            wanted = self._from_the_start(Site.parse(site))
        except ValueError as error:
            raise KeyError(f"{error}; {self._captured()}") from error
        whole = wanted if wanted.head is None else Site(wanted.kind, wanted.layer)
        if wanted not in self._tensors and whole not in self._tensors:
            raise KeyError(f"site {str(site)!r} was not captured: {self._captured()}")
        return wanted

    def _captured(self) -> str:
        return f"captured were {', '.join(map(str, self.sites))}"

    def _from_the_start(self, site: Site) -> Site:
        layers = self.source.get("n_layers")
        if site.layer is None or site.layer >= 0 or layers is None:
            return site
        return Site(site.kind, site.layer + layers, site.head) if site.layer >= -layers else site

    def blocks(self, rows: int | None = None) -> Iterator[Activations]:
        """The rows in their order, some at a time, so that more can be read than memory holds.

        rows: how many at most; None takes what belongs together in a store, and all at once in memory.

        Raises:
            ValueError: rows is not a positive whole number.

        >>> import conceptscope as cs
        >>> import torch
        >>> [block.n_rows for block in cs.Activations({"embed": torch.ones(5, 2)}).blocks(2)]
        [2, 2, 1]
        """
        if rows is not None:
            check_size("rows", rows)
        for first in range(0, self._n, rows or max(1, self._n)):
            yield self[first : first + (rows or self._n)]

    def _rows(self, rows: Rows) -> Activations:
        listed = list(rows)
        forward = isinstance(rows, range) and rows.step > 0
        index = slice(rows.start, rows.stop, rows.step) if isinstance(rows, range) and forward else listed
        return Activations(
            {site: value[index] for site, value in self._tensors.items()},
            **{name: take(getattr(self, name), listed) for name in _PARALLEL},
            example=self.example[listed],
            position=take(self.position, listed),
            source=self.source,
        )

    def __iter__(self) -> Iterator[Site]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def to(self, *args: Any, **kwargs: Any) -> Activations:
        """The same activations on another device or in another dtype, as in `Tensor.to`."""
        return self.with_tensors({site: value.to(*args, **kwargs) for site, value in self._tensors.items()})

    def with_labels(self, labels: Any) -> Activations:
        """The same activations with other labels, one for each row.

        Raises:
            ValueError: a list of another length.
        """
        return Activations(self._tensors, **(self._known() | {"labels": labels}))

    def with_tensors(self, tensors: Mapping[Any, Any]) -> Activations:
        """Other tensors for the same rows, with all that is known about these.

        Raises:
            ValueError: tensors with another number of rows.
        """
        return Activations(tensors, **self._known())

    def _known(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _ABOUT}

    def save(self, path: str | Path) -> None:
        """Write everything to one safetensors file, which appears only when it is complete.

        Raises:
            TypeError: labels, groups, pairs or contexts that are neither numbers, text nor a tensor.
        """
        tensors = {f"{_SAVED}{site}": value for site, value in self._tensors.items()}
        tensors["example"] = self.example
        if self.position is not None:
            tensors["position"] = self.position
        about = {name: getattr(self, name) for name in (*_PARALLEL, "source")}
        if hasattr(self.contexts, "shape"):
            tensors["contexts"] = torch.as_tensor(about.pop("contexts"))
        write_tensors(path, tensors, about, kind=_KIND, version=_VERSION)

    @classmethod
    def open(cls, path: str | Path) -> Activations:
        """Read what `save` wrote, or the folder that `capture` wrote with store=.

        The tensors stay on disk and are mapped into memory where they are used. In a folder labels are read
        where they are used, too, and a tensor is compared with its checksums when it is first used.

        Raises:
            FileNotFoundError: no such file, or no store in the folder.
            ValueError: the file is cut short, or holds no activations, or those of another version; the
                capture into the folder is not finished.
        """
        if Path(path).is_dir():
            from conceptscope.hooks._stored import StoredActivations

            return StoredActivations.of_folder(Path(path))
        tensors, about = read_tensors(path, kind=_KIND, version=_VERSION)
        sites = {name: value for name, value in tensors.items() if name.startswith(_SAVED)}
        others = {name: value for name, value in tensors.items() if name not in sites}
        order = sorted(Site.parse(name.removeprefix(_SAVED)) for name in sites)
        known: dict[str, Any] = {**about, **others}
        return cls({site: sites[f"{_SAVED}{site}"] for site in order}, **known)

    def __repr__(self) -> str:
        about = [f"{self._n} row{'s' if self._n != 1 else ''}"]
        shapes = [f"{site} ({', '.join(map(str, self._described(site)[1]))})" for site in self.sites]
        about += shapes if len(shapes) <= 4 else [shapes[0], "...", shapes[-1], f"{len(shapes)} sites"]
        if self.labels is not None:
            about.append(f"labels of {len(set(self.labels))} classes")
        return f"Activations({', '.join(about)})"

    def _described(self, site: Site) -> tuple[torch.dtype, tuple[int, ...]]:
        """A site's dtype and the shape of a row."""
        return self._tensors[site].dtype, tuple(self._tensors[site].shape[1:])

    def _repr_html_(self) -> str:
        rows = ""
        for site in self.sites:
            dtype, shape = self._described(site)
            rows += f"<tr><td>{site}</td><td>{(self._n, *shape)}</td>"
            rows += f"<td>{str(dtype).removeprefix('torch.')}</td></tr>"
        head = "<tr><th>site</th><th>shape</th><th>dtype</th></tr>"
        return f"<p>{self._n} rows</p><table>{head}{rows}</table>"


def _as_floats(site: Any, value: Any) -> Float[Tensor, example * d]:
    tensor = torch.as_tensor(value)
    if not tensor.is_floating_point():
        raise TypeError(f"the activations at {site} must be floats, got {tensor.dtype}")
    if tensor.ndim < 2:
        raise ValueError(f"the activations at {site} must be (example, d), got {tuple(tensor.shape)}")
    return tensor
