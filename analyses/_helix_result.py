"""What shape the activations of numbers have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.analyses._helix_fit import BasisScore, FittedBasis
from conceptscope.analyses._helix_numbers import whole_numbers
from conceptscope.analyses._helix_verdict import Clock, Shape, shape_of
from conceptscope.hooks import Site
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class NumberHelix:
    """A helix fitted to the activations of numbers, beside its controls; see `fit_number_helix`.

    scores: helix, circles (without the line), line, polynomial (of as many coefficients as the helix), pca
    (as many dimensions), shuffled (the helix on shuffled numbers, mean). clocks: each period on its own;
    beyond: the held-out R2 of the polynomial and all periods that come twice.
    p: the share of shuffles (and one more) that any basis predicts as well. readout: the held-out R2 of
    ridge regression from the activations to the number, which is high on a bent path, too. kept: the share
    of variance in the principal components; between: the share of the rows' that lies between numbers.
    """

    site: Site
    numbers: tuple[int, ...]
    n_rows: int
    periods: tuple[float, ...]
    linear: bool
    scores: tuple[BasisScore, ...]
    clocks: tuple[Clock, ...]
    beyond: float
    p: float
    readout: float
    kept: float
    between: float
    mean: Float[Tensor, " d"]
    fitted: Mapping[str, FittedBasis]
    coordinates: Float[np.ndarray, "number component"]
    directions: Float[np.ndarray, "component d"]
    settings: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)
    generator_state: UInt8[Tensor, " byte"] | None = None

    def __getitem__(self, name: str) -> BasisScore:
        """One basis or control.

        Raises:
            KeyError: there is none of this name.
        """
        for score in self.scores:
            if score.name == name:
                return score
        raise KeyError(f"no basis {name!r}: there are {', '.join(score.name for score in self.scores)}")

    @property
    def coefficients(self) -> Float[Tensor, "column d"]:
        """C of the helix, in activation units; `columns` says what each row multiplies."""
        return torch.from_numpy(self.fitted["helix"].coefficients)

    @property
    def columns(self) -> tuple[str, ...]:
        """What a number is made into: constant, linear (from -1 to 1), cos 10, sin 10 and so on."""
        return self.fitted["helix"].basis.names

    @cached_property
    def shape(self) -> Shape:
        """What may be claimed; see `verdict`."""
        return shape_of(self)

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence.

        Nothing: no basis predicts better than 95 % of shuffles. Clock: the period comes at least twice, adds
        at least .005 and two standard errors to what the polynomial predicts, and more than 95 % of wandering
        paths give. Line: the polynomial predicts less than .05 more. Circle and wave: a clock's
        circularity is above .5, or not. Whether the model uses any of it, `helix_shift` tells.
        """
        return self.shape.sentence

    def predict(self, numbers: Any, basis: str = "helix") -> Float[Tensor, "number d"]:
        """The activations that a basis gives to numbers, in float64.

        basis: "helix", "circles", "line" or "polynomial"; "means" are those of the numbers themselves.

        Raises:
            KeyError: no such basis.
            TypeError: numbers that are not whole.
            ValueError: numbers that were not fitted.
        """
        if basis not in self.fitted and basis != "means":
            raise KeyError(f"no basis {basis!r} to predict with: there are {', '.join(self.fitted)}, means")
        wanted = whole_numbers(numbers)
        rows = [self._row(number) for number in wanted.tolist()]
        if basis == "means":
            return self.mean + torch.from_numpy(self.coordinates[rows] @ self.directions)
        found = self.fitted[basis]
        return self.mean + torch.from_numpy(found.basis.columns(wanted) @ found.coefficients)

    def _row(self, number: int) -> int:
        if number not in self.numbers:
            raise ValueError(
                f"{number} is not among the {len(self.numbers)} numbers from {self.numbers[0]} to "
                f"{self.numbers[-1]} that were fitted: take one of these, or fit more"
            )
        return self.numbers.index(number)

    def to_frame(self) -> pd.DataFrame:
        """One row a basis or control: n_coefficients, r2, cv_r2 and its se."""
        import pandas as pd

        return pd.DataFrame([vars(score) for score in self.scores]).set_index("name")

    def periods_frame(self) -> pd.DataFrame:
        """One row a period: turns, circularity, gain and se, r2_gain and null, whether it is a clock."""
        import pandas as pd

        names = ("period", "turns", "circularity", "gain", "se", "r2_gain", "null", "holds")
        rows = [{name: getattr(clock, name) for name in names} for clock in self.clocks]
        return pd.DataFrame(rows, columns=list(names)).set_index("period")

    def plot(self, ax: Axes | None = None) -> Axes:
        """R2 of each basis and control, of all numbers and of held-out ones with an interval."""
        from conceptscope.analyses._helix_plot import plot_scores

        return plot_scores(self, ax)

    def plot_numbers(self, ax: Axes | None = None) -> Axes:
        """The numbers on their first two principal components, with the fitted helix and polynomial."""
        from conceptscope.analyses._helix_plot import plot_numbers

        return plot_numbers(self, ax)

    def __repr__(self) -> str:
        helix, polynomial = self["helix"].cv_r2, self["polynomial"].cv_r2
        return (
            f"NumberHelix({self.site}, {len(self.numbers)} numbers, {self.n_rows} rows; "
            f"held-out R2 {helix:.3f}, polynomial {polynomial:.3f}; {self.shape.name})"
        )

    def _repr_html_(self) -> str:
        about = f"{len(self.numbers)} numbers at {self.site}, {self.n_rows} rows. {self.verdict}"
        return table_html(about, self.to_frame().reset_index())
