"""Which way of steering wins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from jaxtyping import UInt8
from torch import Tensor

from conceptscope.analyses._prompt_bootstrap import Estimate
from conceptscope.hooks import Site
from conceptscope.probes import Concept
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Candidate:
    """A concept, found by one method at one site, added with the strength that has a KL.

    wanted_kl: on the prompts for choosing; chosen_by: the effect there. effect, kl and p: on the held-out
    prompts, as in `dose_response`.
    """

    method: str
    concept: Concept
    wanted_kl: float
    strength: float
    chosen_by: float
    effect: Estimate
    kl: Estimate
    p: float

    @property
    def site(self) -> Site:
        """Where it acts."""
        return self.concept.site

    def __str__(self) -> str:
        return f"{self.method} at {self.site}"


@dataclass(frozen=True, eq=False)
class Winner:
    """The candidate with the greatest effect at one KL on the prompts for choosing, and the next one.

    equals: those that steer along the same direction there. difference: of the winner's effect and the
    runner-up's on the held-out prompts, with its 95 % interval; NaN without a runner-up.
    """

    candidate: Candidate
    equals: tuple[Candidate, ...]
    runner_up: Candidate | None
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, eq=False, repr=False)
class SteeringReport:
    """Methods and sites compared at equal KL: chosen on some prompts, reported on others.

    left_out: why there is no candidate of a method and a site at a KL.
    """

    candidates: tuple[Candidate, ...]
    winners: tuple[Winner, ...]
    left_out: tuple[str, ...]
    measure: str
    model_name: str
    n_examples: int
    n_choosing: int
    n_held_out: int
    directions: int
    resamples: int
    generator_state: UInt8[Tensor, " byte"]

    @property
    def best(self) -> Candidate:
        """The winner at the first KL: ``best.concept.add(best.strength)`` steers so."""
        return self.winners[0].candidate

    @property
    def verdict(self) -> str:
        """Which candidate wins at each KL, in a sentence each."""
        return " ".join(self._sentence(winner) for winner in self.winners)

    def _sentence(self, winner: Winner) -> str:
        one, effect = winner.candidate, winner.candidate.effect
        equals = [other.method for other in winner.equals]
        too = f" (and {', '.join(equals)}, which steer{'s' * (len(equals) == 1)} alike)" if equals else ""
        said = (
            f"At a KL of {one.wanted_kl:g}, {one}{too} wins with a strength of {one.strength:.3g}, chosen on "
            f"{self.n_choosing} prompts; on {self.n_held_out} others its effect is {effect.value:.2f} "
            f"[{effect.low:.2f}, {effect.high:.2f}], that of 95 % of random directions of equal norm "
            f"{effect.random_low:.2f} to {effect.random_high:.2f}"
        )
        if winner.runner_up is None:
            return f"{said}."
        clear = "surely less" if winner.high < 0 else "surely more" if winner.low > 0 else "not surely more"
        return (
            f"{said}; {clear} than that of {winner.runner_up}, which was second in the choice "
            f"(difference {winner.difference:.2f} [{winner.low:.2f}, {winner.high:.2f}])."
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a candidate: effect and KL on the held-out prompts, and whether it was chosen.

        The greatest of many effects is too great by choice: chosen_by is that on the prompts for choosing.
        """
        import pandas as pd

        chosen = [winner.candidate for winner in self.winners]
        rows = []
        for one in self.candidates:
            row: dict[str, object] = {"method": one.method, "site": str(one.site), "wanted_kl": one.wanted_kl}
            row |= {"strength": one.strength, "wins": one in chosen, "chosen_by": one.chosen_by}
            row |= one.effect.columns("effect") | {"p": one.p} | one.kl.columns("kl")
            rows.append(row)
        return pd.DataFrame(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The effect on the held-out prompts by site, a line for each method and KL; stars win."""
        from conceptscope.analyses._report_plot import plot_report

        return plot_report(self, ax)

    def __repr__(self) -> str:
        return f"SteeringReport({len(self.candidates)} candidates: {self.verdict})"

    def _repr_html_(self) -> str:
        about = (
            f"Effect: {self.measure}, change from the untouched model on {self.n_held_out} held-out prompts, "
            f"95 % intervals; {self.directions} random directions of equal norm"
        )
        left_out = "".join(f"<li>{escape(reason)}</li>" for reason in self.left_out)
        missing = f"<p>Left out:</p><ul>{left_out}</ul>" if left_out else ""
        return f"<p><b>{escape(self.verdict)}</b></p>{table_html(about, self.to_frame())}{missing}"
