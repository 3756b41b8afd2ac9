"""What was found of steering by strength."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from conceptscope.analyses._prompt_bootstrap import Estimate
from conceptscope.hooks import Intervention
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Dose:
    """What one strength does and breaks: means over prompts of the change from the untouched model.

    interventions: as ``intervene(model, *dose.interventions)`` takes them.
    norm: the mean length of the change at the tokens that it acts on, in activation units.
    effect: of what was measured; p: the share of random directions (and one more) with as great an effect.
    kl: KL(untouched || steered) of the next token, in nats, along the untouched continuation.
    perplexity_ratio: of what was written, for the untouched model, over that of its own continuation.
    repetition: the rise in the share of runs of three tokens that occurred before in the text written.
    texts: what was written after each prompt.
    """

    strength: float
    interventions: tuple[Intervention, ...] = field(repr=False)
    norm: float
    effect: Estimate
    p: float
    kl: Estimate
    perplexity_ratio: Estimate
    repetition: Estimate
    texts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Untouched:
    """The untouched model on the same prompts: what was measured, perplexity and repetition, as means.

    perplexity: of its own continuations, the geometric mean.
    """

    measured: float
    perplexity: float
    repetition: float
    texts: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class DoseResponse:
    """What an intervention does and breaks at each strength, beside random directions of equal norm.

    See `dose_response`. measure: what the effect is, in words. n_groups: how many groups of prompts were
    drawn anew for the intervals.
    """

    doses: tuple[Dose, ...]
    untouched: Untouched
    measure: str
    model_name: str
    n_prompts: int
    n_groups: int
    directions: int
    max_new_tokens: int
    temperature: float
    resamples: int
    generator_state: UInt8[Tensor, " byte"]

    def best(self, kl: float = 0.5, *, perplexity_ratio: float = np.inf) -> Dose:
        """The strongest dose within a harm budget: the greatest |strength| whose means are not above these.

        Of two equally strong ones, the one with the greater effect.

        Raises:
            ValueError: no dose is within the budget.
        """
        within = [
            dose
            for dose in self.doses
            if dose.kl.value <= kl and dose.perplexity_ratio.value <= perplexity_ratio
        ]
        if not within:
            least = min(self.doses, key=lambda dose: dose.kl.value)
            raise ValueError(
                f"no dose within a KL of {kl:g} and a perplexity ratio of {perplexity_ratio:g}: "
                f"the mildest, {least.strength:g}, has {least.kl.value:.3g} and "
                f"{least.perplexity_ratio.value:.3g}; try smaller strengths"
            )
        return max(within, key=lambda dose: (abs(dose.strength), dose.effect.value))

    def to_frame(self) -> pd.DataFrame:
        """One row a strength: effect, p and harms with 95 % intervals, each beside random directions."""
        import pandas as pd

        rows = [
            {"strength": dose.strength, "norm": dose.norm}
            | dose.effect.columns("effect")
            | {"p": dose.p}
            | dose.kl.columns("kl")
            | dose.perplexity_ratio.columns("perplexity_ratio")
            | dose.repetition.columns("repetition")
            for dose in self.doses
        ]
        return pd.DataFrame(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Effect (left axis) and KL (right axis) with their intervals, and random directions as bands."""
        from conceptscope.analyses._dose_plot import plot_doses

        return plot_doses(self, ax)

    def __repr__(self) -> str:
        strongest = max(self.doses, key=lambda dose: abs(dose.strength))
        effect, kl = strongest.effect, strongest.kl
        return (
            f"DoseResponse({len(self.doses)} strengths, {self.n_prompts} prompts, {self.directions} random "
            f"directions; at {strongest.strength:g}: effect {effect.value:.3f} [{effect.low:.3f}, "
            f"{effect.high:.3f}], KL {kl.value:.3f} [{kl.low:.3f}, {kl.high:.3f}])"
        )

    def _repr_html_(self) -> str:
        import pandas as pd

        about = (
            f"Effect: {self.measure}, change from {self.untouched.measured:.3f}. {self.n_prompts} prompts, "
            f"[95 % intervals]; random: the range of 95 % of {self.directions} directions of equal norm"
        )
        return table_html(about, pd.DataFrame([_row(dose) for dose in self.doses]))


def _row(dose: Dose) -> dict[str, object]:
    """What a notebook shows of a dose."""
    row: dict[str, object] = {"strength": f"{dose.strength:g}"}
    named = {"effect": dose.effect, "KL": dose.kl, "perplexity": dose.perplexity_ratio}
    for name, one in (named | {"repetition": dose.repetition}).items():
        row[name] = f"{one.value:.3g} [{one.low:.3g}, {one.high:.3g}]"
        row[f"{name}, random"] = f"{one.random_low:.3g} to {one.random_high:.3g}"
        if name == "effect":
            row["p"] = dose.p
    return row | {"first text": dose.texts[0]}
