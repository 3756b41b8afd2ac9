"""Whether a path of numbers is a helix, from its points alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_circle import circularity
from conceptscope.analyses._helix_folds import orthonormal
from conceptscope.analyses._helix_null import wave_gains
from conceptscope.analyses._helix_numbers import NumberMeans, check_whole
from conceptscope.hooks import Activations, Site
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class HelixDiagnostics:
    """How the numbers at a site go round, period by period, and lie by parity; see `helix_diagnostics`.

    r2_gains, nulls and circularities are by period.
    """

    site: Site
    numbers: tuple[int, ...]
    periods: tuple[float, ...]
    r2_gains: tuple[float, ...]
    nulls: tuple[float, ...]
    circularities: tuple[float, ...]
    null: float
    p: float
    parity_split: float
    parity_share: float
    orderedness: float
    source: dict[str, Any] = field(default_factory=dict)
    generator_state: UInt8[Tensor, " byte"] | None = None

    @property
    def best(self) -> int:
        """Where in `periods` the best one is."""
        return int(np.argmax(self.r2_gains))

    @property
    def best_period(self) -> float:
        """The period whose waves add most to a line."""
        return self.periods[self.best]

    @property
    def circularity(self) -> float:
        """s2/s1 of the best period: 1 is a circle, 0 a wave that stays flat."""
        return self.circularities[self.best]

    @property
    def r2_gain(self) -> float:
        """The R2 that the best period adds to a line; `null` is what that of 95 % of wandering paths adds."""
        return self.r2_gains[self.best]

    def to_frame(self) -> pd.DataFrame:
        """One row a period: r2_gain, the null's 95 % for that period, circularity."""
        import pandas as pd

        columns = {"r2_gain": self.r2_gains, "null": self.nulls, "circularity": self.circularities}
        return pd.DataFrame(columns, index=pd.Index(self.periods, name="period"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """What each period adds to a line, and what 95 % of wandering paths stay below."""
        from conceptscope.analyses._helix_plot import plot_spectrum

        return plot_spectrum(self, ax)

    def __repr__(self) -> str:
        return (
            f"HelixDiagnostics({self.site}, {len(self.numbers)} numbers; best period {self.best_period:g}: "
            f"R2 gain {self.r2_gain:.3f}, null {self.null:.3f}, p {self.p:.2g}, circularity "
            f"{self.circularity:.2f}; parity split {self.parity_split:.2f}, share {self.parity_share:.2f}; "
            f"orderedness {self.orderedness:.2f})"
        )

    def _repr_html_(self) -> str:
        top = self.to_frame().nlargest(5, "r2_gain").reset_index()
        return table_html(repr(self), top)


def helix_diagnostics(
    activations: Activations,
    numbers: Any = None,
    *,
    site: Site | str | None = None,
    periods: Sequence[float] | None = None,
    pca: int = 100,
    draws: int = 200,
    generator: int | torch.Generator = 0,
) -> HelixDiagnostics:
    """Which period adds most to a line, whether it goes round, and how numbers of one parity lie.

    r2_gain and null: of the best period, and what the best period of 95 % of paths gives that wander from a
        line by first-order autoregressive noise like the one here; p is for the best of all periods.
    circularity: s2/s1 of the coefficients of cosine and sine. R2 says nothing of it: a flat wave fits too.
    parity_split: the mean distance of neighbours over that of numbers two steps apart: .5 on a line, above 1
        where odd and even numbers lie apart; NaN where no numbers are so near each other.
    parity_share: the share of variance, beyond a line, that alternates from step to step.
    orderedness: the larger share of ascending or descending steps of two on the first component.

    numbers: whole, one for each row; by default the labels. Rows of one number are averaged.
    periods: by default all whole ones that the numbers can tell. pca: components at most.

    Raises:
        KeyError: the site was not captured.
        TypeError: numbers that are not whole.
        ValueError: fewer than four numbers; periods beyond their range; activations that are NaN, infinite,
            or the same for every number.

    Source: arXiv 2405.17425 (parity split, orderedness, helix); the null is this project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> a = torch.arange(60.0)
    >>> wheel = torch.stack([(torch.pi * a / 6).cos(), (torch.pi * a / 6).sin(), a / 30], 1)
    >>> found = cs.helix_diagnostics(cs.Activations({"embed": wheel}, a.int().tolist()))
    >>> found.best_period, round(found.circularity, 6), found.p < 0.05
    (12.0, 1.0, True)
    """
    check_whole("draws", draws, 1)
    source = torch_generator(generator)
    state = source.get_state()
    means = NumberMeans.of(activations, numbers, site, pca)
    wanted = means.default_periods() if periods is None else means.checked_periods(periods)
    if not wanted:
        raise ValueError("there are no periods to look for: give periods=")
    gains = wave_gains(means, wanted, draws, numpy_generator(source))
    return HelixDiagnostics(
        site=means.site,
        numbers=tuple(means.numbers.tolist()),
        periods=wanted,
        r2_gains=tuple(gains.observed.tolist()),
        nulls=tuple(gains.quantile.tolist()),
        circularities=tuple(circularity(means, Basis.of(means, 1, [one]), one) for one in wanted),
        null=gains.highest,
        p=gains.p,
        parity_split=_parity_split(means),
        parity_share=_parity_share(means),
        orderedness=_orderedness(means),
        source=means.source,
        generator_state=state,
    )


def _apart(means: NumberMeans, steps: int) -> Float[np.ndarray, "pair component"]:
    """The differences between numbers that are so many steps apart."""
    at = {int(number): row for row, number in enumerate(means.numbers)}
    further = [(row, at.get(number + steps * means.step)) for number, row in at.items()]
    pairs = np.array([pair for pair in further if pair[1] is not None], dtype=np.int64).reshape(-1, 2)
    found: Float[np.ndarray, "pair component"] = (
        means.coordinates[pairs[:, 1]] - means.coordinates[pairs[:, 0]]
    )
    return found


def _parity_split(means: NumberMeans) -> float:
    one, two = (np.linalg.norm(_apart(means, steps), axis=1) for steps in (1, 2))
    return float(one.mean() / two.mean()) if len(one) and len(two) else float("nan")


def _parity_share(means: NumberMeans) -> float:
    y = means.coordinates
    turns = np.cos(np.pi * (means.numbers - means.low) / means.step)
    alternating = orthonormal(np.column_stack([Basis.of(means, 1).columns(means.numbers), turns]))[:, 2]
    return float(np.square(alternating @ y).sum() / np.square(y).sum())


def _orderedness(means: NumberMeans) -> float:
    steps = _apart(means, 2)[:, 0]
    if not len(steps):
        return float("nan")
    return float(max((steps > 0).mean(), (steps < 0).mean()))
