"""A formula in a few terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.analyses._reduced_library import finite_values
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class SizedFormula:
    """The best formula of so many terms.

    errors: standard errors of the coefficients, as if these terms had been given and examples independent.
    rms: what is left of y, in its unit; r2: the share of its variance that is explained; ebic: the extended
    BIC, the smaller the better. runner_up: the second best terms of that number; None without others.
    """

    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    errors: tuple[float, ...]
    rms: float
    r2: float
    ebic: float
    runner_up: tuple[str, ...] | None
    runner_up_rms: float | None

    def values(self, library: Mapping[str, Any]) -> Float[np.ndarray, " example"]:
        """What the formula gives for the terms' values.

        Raises:
            KeyError: a term is not in the library.
            ValueError: values that are not finite, or not one for each example.
        """
        for name in self.terms:
            if name not in library:
                raise KeyError(f"the formula needs the term {name!r}: the library has {', '.join(library)}")
        columns = [finite_values(f"the term {name!r}", library[name]) for name in self.terms]
        found: Float[np.ndarray, " example"] = np.stack(columns, 1) @ np.array(self.coefficients)
        return found

    def __str__(self) -> str:
        parts = [
            f"{'-' if factor < 0 else '+'} {abs(factor):.4g} {name}"
            for name, factor in zip(self.terms, self.coefficients, strict=True)
        ]
        return " ".join(parts).removeprefix("+ ")


@dataclass(frozen=True, repr=False)
class Formula:
    """The sum of few terms that comes closest to y, and the best ones of other sizes; see `sparse_formula`.

    sizes: the best formula of one term, of two, and so on; ``best`` is the number of the chosen one among
    them. survives: the standard deviation of noise on y, in its unit, up to which the chosen terms stay the
    best of their number in 95 % of draws; None where not every subset was fitted.
    """

    sizes: tuple[SizedFormula, ...]
    best: int
    survives: float | None
    library: tuple[str, ...]
    n_examples: int
    method: str
    generator_state: UInt8[Tensor, " byte"] | None = field(default=None, repr=False, compare=False)

    @property
    def chosen(self) -> SizedFormula:
        """The formula whose size has the least extended BIC."""
        return self.sizes[self.best]

    @property
    def terms(self) -> tuple[str, ...]:
        """Its terms, in the library's order."""
        return self.chosen.terms

    @property
    def coefficients(self) -> dict[str, float]:
        """Its coefficients by term."""
        return dict(zip(self.terms, self.chosen.coefficients, strict=True))

    @property
    def rms(self) -> float:
        """What it leaves of y, in y's unit."""
        return self.chosen.rms

    def of_size(self, n_terms: int) -> SizedFormula:
        """The best formula of so many terms.

        Raises:
            KeyError: no formula of that size was looked for.
        """
        if not 1 <= n_terms <= len(self.sizes):
            raise KeyError(f"no formula of {n_terms} terms: there are those of 1 to {len(self.sizes)}")
        return self.sizes[n_terms - 1]

    def to_frame(self) -> pd.DataFrame:
        """One row a number of terms: formula, rms, r2, ebic, runner_up, runner_up_rms, chosen."""
        import pandas as pd

        rows = [
            {"terms": len(one.terms), "formula": str(one), "rms": one.rms, "r2": one.r2, "ebic": one.ebic}
            | {"runner_up": ", ".join(one.runner_up or ()), "runner_up_rms": one.runner_up_rms}
            | {"chosen": number == self.best}
            for number, one in enumerate(self.sizes)
        ]
        return pd.DataFrame(rows).set_index("terms")

    def plot(self, ax: Axes | None = None) -> Axes:
        """What is left of y by the number of terms, with the runner-up and the chosen size."""
        from matplotlib.ticker import MaxNLocator

        from conceptscope.probes._axes import BLUE, GREY, ORANGE, given_or_new

        ax = given_or_new(ax, width=5)
        at = range(1, len(self.sizes) + 1)
        second = [np.nan if one.runner_up_rms is None else one.runner_up_rms for one in self.sizes]
        ax.plot(at, second, "o--", color=GREY, label="runner-up")
        ax.plot(at, [one.rms for one in self.sizes], "o-", color=BLUE, label="best")
        ax.plot(self.best + 1, self.rms, "o", color=ORANGE, markersize=9, label="least extended BIC")
        ax.set(xlabel="terms", ylabel="rms of what is left", yscale="log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(axis="y", alpha=0.3)
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        noise = "" if self.survives is None else f", survives noise of {self.survives:.3g}"
        how = "" if self.method == "exhaustive" else f" by {self.method}"
        return (
            f"Formula({self.chosen}; {len(self.terms)} of {len(self.library)} terms{how}, "
            f"rms {self.rms:.3g}{noise})"
        )

    def _repr_html_(self) -> str:
        return table_html(repr(self), self.to_frame().reset_index())
