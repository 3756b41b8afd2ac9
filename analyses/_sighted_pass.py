"""One forward pass, and what some columns of it show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from conceptscope.hooks import HookedModel, Site
from conceptscope.hooks._aware import aware
from conceptscope.hooks._taps import See
from conceptscope.hooks._unembedding import unembedding

Columns = Int64[Tensor, " column"]


@dataclass(frozen=True, eq=False)
class Sights:
    """Logits, none where the model has no head, and activations [row, column, d] by number."""

    logits: Float[Tensor, "row column vocab"]
    activations: Mapping[int, Tensor]


def sighted_pass(
    model: HookedModel,
    inputs: Mapping[str, Any],
    columns: Sequence[int],
    sites: Mapping[int, tuple[Site, Sequence[int]]],
) -> Sights:
    """Run the model once; the unembedding sees nothing but ``columns``.

    sites: a number for each sight, with its site and its columns. A classifier's logits are one column.
    """
    device = model.device
    kept = torch.tensor(columns, device=device)
    found: dict[int, Tensor] = {}
    with ExitStack() as stack:
        for number, (site, at) in sites.items():
            see = _see(found, number, site, torch.tensor(at, device=device))
            stack.callback(model.tap(site).register(aware(see)).remove)
        stack.enter_context(unembedding(model.hf, lambda x: x[:, kept]))
        logits = getattr(model.hf(**inputs), "logits", torch.empty(0, 0, 0))
    if logits.ndim == 2:
        logits = logits[:, None]
    elif logits.shape[1] not in (0, len(columns)):
        logits = logits[:, kept]
    return Sights(logits, found)


def _see(found: dict[int, Tensor], number: int, site: Site, at: Columns) -> See:
    def see(tensor: Tensor) -> None:
        seen = tensor[:, at.to(tensor.device)]
        found[number] = seen if site.head is None else seen[:, :, site.head]

    return see
