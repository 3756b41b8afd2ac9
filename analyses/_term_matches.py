"""Which terms features follow."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class TermMatch:
    """One feature and one term. partial: their correlation given all other terms, low and high its 95 %
    interval; plain: that of the two as they are. nan where the terms explain all of the feature.
    """

    component: int
    term: str
    partial: float
    low: float
    high: float
    plain: float


@dataclass(frozen=True, repr=False)
class TermMatches:
    """The partial correlation of each feature with each term, with 95 % intervals; see `match_terms`."""

    matches: tuple[TermMatch, ...]
    n_examples: int
    n_groups: int
    generator_state: UInt8[Tensor, " byte"] | None = field(default=None, repr=False, compare=False)

    @property
    def n_components(self) -> int:
        """How many features there are."""
        return self.matches[-1].component + 1

    def best(self, component: int) -> TermMatch:
        """The term whose partial correlation with a feature is the farthest from 0.

        Raises:
            KeyError: no such feature.
        """
        own = [one for one in self.matches if one.component == component]
        if not own:
            raise KeyError(f"no component {component}: there are 0 to {self.n_components - 1}")
        return max(own, key=lambda one: 0.0 if math.isnan(one.partial) else abs(one.partial))

    def to_frame(self) -> pd.DataFrame:
        """One row a component and term: partial, low, high, plain."""
        import pandas as pd

        return pd.DataFrame(list(self.matches)).set_index(["component", "term"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The partial correlations as a table of colours; written out where the interval leaves 0 out."""
        from conceptscope.probes._axes import given_or_new

        table = self.to_frame()["partial"].unstack("term", sort=False)
        ax = given_or_new(ax, width=2 + 0.6 * table.shape[1], height=1 + 0.3 * len(table))
        image = ax.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
        ax.set_xticks(range(table.shape[1]), table.columns, rotation=45, ha="right")
        ax.set_yticks(range(len(table)))
        ax.set_ylabel("component")
        columns = {name: at for at, name in enumerate(table.columns)}
        for one in self.matches:
            if one.low > 0 or one.high < 0:
                colour = "white" if abs(one.partial) > 0.6 else "black"
                where = (columns[one.term], one.component)
                ax.annotate(f"{one.partial:.2f}", where, ha="center", va="center", color=colour, fontsize=7)
        ax.figure.colorbar(image, ax=ax, label="partial correlation")
        return ax

    def __repr__(self) -> str:
        first = self.best(0)
        return (
            f"TermMatches({self.n_components} components, {len(self.matches) // self.n_components} terms, "
            f"{self.n_examples} examples; component 0: {first.term} {first.partial:.2f} "
            f"[{first.low:.2f}, {first.high:.2f}])"
        )

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.to_frame().reset_index())
