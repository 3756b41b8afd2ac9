"""What interactions of many texts have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conceptscope.probes._axes import BLUE, given_or_new
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


NO_SHARES = ("players", "salient", "bound", "degree", "unfaithfulness")
"""Statistics that may be above 1."""


@dataclass(frozen=True)
class Statistic:
    """A mean over texts with its 95 % interval; None where fewer than two of the texts have it."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n_texts: int


@dataclass(frozen=True, repr=False)
class InteractionStatistics:
    """Statistics of the interactions of many texts; see `interaction_statistics`, which says what each is."""

    statistics: tuple[Statistic, ...]
    target: str
    method: str
    tau: float
    model_name: str

    def __getitem__(self, name: str) -> Statistic:
        """One of the statistics.

        Raises:
            KeyError: no such statistic.
        """
        found = {one.name: one for one in self.statistics}
        if name not in found:
            raise KeyError(f"there is no statistic {name!r}: there are {', '.join(found)}")
        return found[name]

    def to_frame(self) -> pd.DataFrame:
        """One row a statistic: its mean over texts, its interval, and of how many texts."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.statistics])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The statistics that are shares, with their intervals."""
        ax = given_or_new(ax)
        shares = [
            (one.name, one.value, one.low, one.high)
            for one in self.statistics
            if one.value is not None
            and one.low is not None
            and one.high is not None
            and one.name not in NO_SHARES
        ]
        for row, (_, value, low, high) in enumerate(shares):
            sides = [[max(value - low, 0)], [max(high - value, 0)]]
            ax.errorbar(value, row, xerr=sides, fmt="o", color=BLUE, capsize=2)
        ax.set_yticks(range(len(shares)), [name for name, *_ in shares])
        ax.invert_yaxis()
        ax.set_xlim(-0.02, 1.02)
        ax.set_xlabel("share, 95 % interval")
        return ax

    def __repr__(self) -> str:
        shown = ", ".join(f"{one.name} {one.value:.3g}" for one in self.statistics if one.value is not None)
        return f"InteractionStatistics({self.target}: {shown})"

    def _repr_html_(self) -> str:
        about = (
            f"{self.method.upper()} interactions in {self.target}; salient: {self.tau:g} of a text's greatest"
        )
        return table_html(about, self.to_frame())
