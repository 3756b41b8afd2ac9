"""Attention heads that were selected, and what shifts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import AffineEdit, Intervention, Site
from conceptscope.hooks._positions import Position
from conceptscope.probes._probe_sweep import ProbeSweep
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class HeadSelection:
    """The heads with the highest held-out accuracy, best first, among all that were swept.

    shifts: for each, its steering direction, as long as the standard deviation of its output along it.
    """

    sweep: ProbeSweep
    heads: tuple[Site, ...]
    shifts: Mapping[Site, Float[Tensor, " d"]]
    n_heads: int
    model_name: str

    def interventions(
        self, alpha: float, *, positions: Position = "last|generated", force: bool = False
    ) -> list[Intervention]:
        """Shift each head by alpha standard deviations towards the last class: one intervention a layer.

        Raises:
            ValueError: alpha is not finite, or an unknown position.
        """
        made = []
        nothing = torch.zeros_like(self.shifts[self.heads[0]])
        for layer in sorted({site.layer for site in self.heads if site.layer is not None}):
            here = {site.head: self.shifts[site] for site in sorted(self.heads) if site.layer == layer}
            vector = alpha * torch.stack([here.get(head, nothing) for head in range(self.n_heads)])
            edit = AffineEdit(vector.flatten(), model_name="" if force else self.model_name)
            name = f"{self.sweep.classes[-1]}: shift heads {', '.join(map(str, here))} by {alpha}"
            made.append(Intervention(Site("z", layer), edit, positions, name))
        return made

    def to_frame(self) -> pd.DataFrame:
        """One row a head, as in the sweep, with its layer, its number and whether it was selected."""
        frame = self.sweep.to_frame().dropna(axis=1, how="all")
        sites = [score.site for score in self.sweep.scores]
        frame.insert(1, "layer", [site.layer for site in sites])
        frame.insert(2, "head", [site.head for site in sites])
        frame.insert(3, "selected", [site in self.shifts for site in sites])
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Held-out accuracy of each head, layers from below, with those selected marked."""
        from conceptscope.probes._head_plot import plot_heads

        return plot_heads(self, ax)

    def __repr__(self) -> str:
        best = {score.site: score for score in self.sweep.scores}[self.heads[0]]
        interval = f"[{best.accuracy_low:.3f}, {best.accuracy_high:.3f}]"
        return (
            f"HeadSelection({len(self.heads)} of {len(self.sweep.scores)} heads, best {best.site}: "
            f"accuracy {best.accuracy:.3f} {interval})"
        )

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        chosen = frame[frame["selected"]].sort_values("accuracy", ascending=False, kind="stable")
        return table_html(repr(self), chosen.drop(columns="selected"))
