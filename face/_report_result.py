"""What a report measured, and where it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from conceptscope.analyses import ConceptCard, Convexity, DoseResponse
from conceptscope.analyses._found_effects import FoundEffects
from conceptscope.hooks import Examples
from conceptscope.probes import Concept, ProbeSweep, ValueSweep
from conceptscope.probes._probe_sweep import SiteScore
from conceptscope.probes._value_sweep import ValueScore


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """All that a report's page shows; see `report`.

    page: the file; folder: that of the concepts, one for each site.
    sweep: held-out scores at every site. concept: the direction that all else is about, at its site.
    card, convexity, doses: None where they were left out. prompts: those that were steered.
    sentences: the interactions that make the reading of some of the texts.
    left_out: why, for each part that could not be measured. settings: as they were given.
    """

    page: Path
    folder: Path
    model_name: str
    examples: Examples
    sweep: ProbeSweep | ValueSweep
    concept: Concept
    card: ConceptCard | None
    convexity: Convexity | None
    doses: DoseResponse | None
    prompts: Examples
    sentences: tuple[FoundEffects, ...]
    left_out: Mapping[str, str]
    settings: Mapping[str, Any]

    @property
    def score(self) -> SiteScore | ValueScore:
        """The held-out scores at the concept's site."""
        return next(one for one in self.sweep.scores if one.site == self.concept.site)

    @property
    def verdict(self) -> str:
        """The card's, or what the held-out scores alone say."""
        if self.card is not None:
            return self.card.verdict
        unknown = f"Whether the model uses it was not tested: {self.left_out['card']}."
        if isinstance(one := self.score, SiteScore):
            what, sure = (
                f"AUROC {one.auroc:.2f} [{one.auroc_low:.2f}, {one.auroc_high:.2f}]",
                one.auroc_low > 0.5,
            )
        else:
            what, sure = f"R squared {one.r2:.2f} [{one.r2_low:.2f}, {one.r2_high:.2f}]", one.r2_low > 0
        return f"It {'can be read' if sure else 'is not shown to be readable'} ({what}). {unknown}"

    def __repr__(self) -> str:
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return f"Report({str(self.page)!r}: {self.concept!r}, {len(self.examples)} examples{without})"

    def _repr_html_(self) -> str:
        return f'<p>{escape(repr(self))}</p><p><a href="{escape(self.page.as_uri())}">Open the page</a></p>'
