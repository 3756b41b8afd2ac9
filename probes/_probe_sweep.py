"""What a sweep found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from jaxtyping import UInt8
from torch import Tensor

from conceptscope.hooks import Site
from conceptscope.probes._concept import Concept
from conceptscope.probes._extractor import Extractor

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SiteScore:
    """Held-out scores at one site, with 95 % confidence intervals, and the accuracies of the controls."""

    site: Site
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    auroc: float
    auroc_low: float
    auroc_high: float
    shuffled: float
    random_direction: float

    @property
    def selectivity(self) -> float:
        """Accuracy minus the accuracy on shuffled labels."""
        return self.accuracy - self.shuffled


@dataclass(frozen=True, eq=False, repr=False)
class ProbeSweep:
    """Held-out scores of a probe at every site, and the concepts refitted there on all the data."""

    scores: tuple[SiteScore, ...]
    concepts: Mapping[Site, Concept]
    extractor: Extractor
    classes: tuple[Any, ...]
    n_examples: int
    n_groups: int
    folds: int
    generator_state: UInt8[Tensor, " byte"]

    @property
    def best(self) -> Concept:
        """The concept, refitted on all the data, at the site with the highest AUROC.

        Equal AUROCs are told apart by accuracy, and then the earliest site is taken.
        """
        return self.concepts[self._best_score().site]

    def _best_score(self) -> SiteScore:
        return max(self.scores, key=lambda score: (score.auroc, score.accuracy))

    def to_frame(self) -> pd.DataFrame:
        """One row a site: its scores with their 95 % intervals, the controls and the selectivity."""
        import pandas as pd

        names = [field.name for field in fields(SiteScore)]
        columns = {name: [getattr(score, name) for score in self.scores] for name in [*names, "selectivity"]}
        return pd.DataFrame(columns | {"site": [str(score.site) for score in self.scores]})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Accuracy with its interval, AUROC and the controls, by layer or, for several kinds, by site."""
        from conceptscope.probes._sweep_plot import plot_sweep

        return plot_sweep(self.scores, len(self.classes), ax)

    def __repr__(self) -> str:
        best = self._best_score()
        accuracy = f"accuracy {best.accuracy:.3f} [{best.accuracy_low:.3f}, {best.accuracy_high:.3f}]"
        auroc = f"AUROC {best.auroc:.3f} [{best.auroc_low:.3f}, {best.auroc_high:.3f}]"
        about = f"{len(self.scores)} sites, {self.n_examples} examples, {self.folds} folds"
        return f"ProbeSweep({about}, best {best.site}: {accuracy}, {auroc})"

    def _repr_html_(self) -> str:
        from html import escape

        groups = "" if self.n_groups == self.n_examples else f" in {self.n_groups} groups"
        about = f"{self.extractor!r}: {self.n_examples} examples{groups}, {self.folds} folds, 95 % intervals"
        table = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return f"<p>{escape(about)}</p>{table}"
