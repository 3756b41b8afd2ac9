"""What was found of a concept: whether it can be read, and whether it steers."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from html import escape
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from conceptscope.analyses._prompt_bootstrap import Estimate
from conceptscope.probes import Concept
from conceptscope.probes._probe_sweep import SiteScore
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIFFERENCE = "effect of adding less that of taking away"
_LEVEL = 0.05


@dataclass(frozen=True)
class Caused:
    """What an intervention changes, beside random directions; p: how many of these change as much."""

    what: str
    estimate: Estimate
    p: float


@dataclass(frozen=True, eq=False, repr=False)
class ConceptCard:
    """What can be read of a concept, beside what acting on it causes; see `concept_card`.

    folds: how many times the concept was fitted anew, without the examples that it was then read from; 0: it
    was tested as it is. measure: what the effect is, in words; None where there was nothing to measure.
    """

    concept: Concept
    reading: SiteScore
    folds: int
    caused: tuple[Caused, ...]
    measure: str | None
    strength: float
    model_name: str
    n_examples: int
    n_prompts: int
    directions: int
    resamples: int
    generator_state: UInt8[Tensor, " byte"]

    @property
    def readable(self) -> bool:
        """Whether the interval of AUROC is above one half."""
        return self.reading.auroc_low > 0.5

    @property
    def steers(self) -> bool:
        """Whether adding and taking away differ surely, and more than along 95 % of random directions."""
        found = self._difference
        if found is None:
            return False
        return found.p <= _LEVEL and not found.estimate.low <= 0 <= found.estimate.high

    @property
    def _difference(self) -> Caused | None:
        return next((one for one in self.caused if one.what == DIFFERENCE), None)

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        auroc = f"AUROC {_shown(self.reading.auroc, self.reading.auroc_low, self.reading.auroc_high)}"
        if self.readable and self.steers:
            return f"It can be read ({auroc}) and steers the model: {self._effect}."
        if self.readable:
            return f"It can be read ({auroc}), but is not shown to steer the model: {self._effect}."
        if self.steers:
            return (
                f"It is not shown to be readable ({auroc}), yet it steers the model: {self._effect}; "
                "so the direction carries something else than its label."
            )
        return f"It is neither shown to be readable ({auroc}) nor to steer the model: {self._effect}."

    @property
    def _effect(self) -> str:
        found = self._difference
        if found is None:
            return "the model goes on alike after the examples of both classes, which left nothing to measure"
        one = found.estimate
        return (
            f"from {-self.strength:g} to {self.strength:+g} sd along it, the {self.measure} changes by "
            f"{_shown(one.value, one.low, one.high)}; 95 % of random directions give {one.random_low:.2f} to "
            f"{one.random_high:.2f} (p = {found.p:.3f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a quantity: value and 95 % interval, what chance or random directions have, and p.

        The controls of accuracy and selectivity are those of shuffled labels.
        """
        import pandas as pd

        read, nan = self.reading, float("nan")
        below = [value - read.shuffled for value in (read.accuracy, read.accuracy_low, read.accuracy_high)]
        rows: list[tuple[object, ...]] = [
            ("accuracy", read.accuracy, read.accuracy_low, read.accuracy_high, read.shuffled, nan, nan, nan),
            ("AUROC", read.auroc, read.auroc_low, read.auroc_high, 0.5, nan, nan, nan),
            ("selectivity", *below, 0.0, nan, nan, nan),
            *((one.what, *astuple(one.estimate), one.p) for one in self.caused),
        ]
        names = ["quantity", *(field.name for field in fields(Estimate)), "p"]
        return pd.DataFrame(rows, columns=names)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Read (lower axis) and caused (upper axis) with intervals, and the range of random directions."""
        from conceptscope.analyses._card_plot import plot_card

        return plot_card(self, ax)

    def __repr__(self) -> str:
        return f"ConceptCard({self.concept!r}: {self.verdict})"

    def _repr_html_(self) -> str:
        tested = f"{self.folds} folds" if self.folds else "tested as it is"
        about = f"{self.n_examples} examples ({tested}), {self.n_prompts} prompts, 95 % intervals"
        return (
            f"<p><b>{escape(self.verdict)}</b></p>{table_html(f'{self.concept!r}: {about}', self.to_frame())}"
        )


def _shown(value: float, low: float, high: float) -> str:
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
