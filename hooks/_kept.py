"""The rows that a capture keeps, put in their place batch after batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from conceptscope.hooks._picks import Picked
from conceptscope.hooks._site import Site


class Kept:
    """A tensor for each site, with the rows of all batches; it lies where the site's activations do.

    dtype: what the rows are cast to; None leaves them as they are. ``places`` are the sites without heads.
    """

    def __init__(self, sites: Sequence[Site], n_rows: int, dtype: torch.dtype | None = None) -> None:
        self._sites, self._n_rows, self._dtype = sites, n_rows, dtype
        self._by_place: dict[Site, list[Site]] = {}
        for site in sites:
            self._by_place.setdefault(Site(site.kind, site.layer), []).append(site)
        self._tensors: dict[Site, Tensor] = {}

    @property
    def places(self) -> tuple[Site, ...]:
        """Where tensors are seen."""
        return tuple(self._by_place)

    def put(self, place: Site, seen: Tensor, picked: Picked) -> None:
        """Keep what is picked of a [batch * position, ...] tensor, for all sites at a place."""
        rows, targets = picked.rows(seen), picked.targets(seen.device)
        for site in self._by_place[place]:
            self._put(site, rows if site.head is None else rows[:, site.head], targets)

    def _put(self, site: Site, rows: Tensor, targets: Tensor) -> None:
        cast = rows.to(self._dtype or rows.dtype)
        if site not in self._tensors:
            with torch.inference_mode(False):
                self._tensors[site] = cast.new_empty((self._n_rows, *cast.shape[1:]))
        self._tensors[site].index_copy_(0, targets, cast)

    def tensors(self) -> dict[Site, Tensor]:
        """The tensor of each site asked for, in that order."""
        return {site: self._tensors[site] for site in self._sites}
