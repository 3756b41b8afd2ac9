"""A stronger signal is learned sooner: by which power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from conceptscope.analyses._trajectory_times import LearningTime

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


@dataclass(frozen=True, repr=False)
class SignalLaw:
    """log T = slope * log signal + intercept, by least squares; low and high bound the slope at 95 %.

    -1 is a time inversely proportional to the signal. r: the correlation of the logarithms.
    never: concepts that were never learned, which the slope leaves out; times above the last checkpoint are
    cut off by that, and the true slope is the steeper the weaker these signals are.
    """

    slope: float
    low: float
    high: float
    intercept: float
    r: float
    signals: tuple[float, ...]
    times: tuple[float, ...]
    never: tuple[Any, ...] = ()

    def time(self, signal: float) -> float:
        """The learning time that the law gives a signal."""
        return float(np.exp(self.intercept) * signal**self.slope)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Signals and times on logarithmic axes, with the law's line."""
        from conceptscope.probes._axes import BLUE, ORANGE, given_or_new

        ax = given_or_new(ax)
        ends = [min(self.signals), max(self.signals)]
        label = f"slope {self.slope:.2f} [{self.low:.2f}, {self.high:.2f}]"
        ax.plot(ends, [self.time(end) for end in ends], color=ORANGE, label=label)
        ax.plot(self.signals, self.times, "o", color=BLUE)
        ax.set(xscale="log", yscale="log", xlabel="concept signal", ylabel="steps until it is learned")
        for axis, values in ((ax.xaxis, self.signals), (ax.yaxis, self.times)):
            _plain_ticks(axis, values)
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        never = f"; never learned: {', '.join(map(str, self.never))}" if self.never else ""
        return (
            f"SignalLaw(slope {self.slope:.3g} [{self.low:.3g}, {self.high:.3g}], r {self.r:.3f}, "
            f"{len(self.signals)} concepts{never})"
        )


def _plain_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Ticks with plain numbers on a logarithmic axis, also where the values are within one decade."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    wide = max(values) > 4 * min(values)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:g}")


def signal_law(
    signals: Mapping[Any, Any] | Sequence[Any], times: Mapping[Any, Any] | Sequence[Any]
) -> SignalLaw:
    """The slope of log learning time against log signal, with Student's 95 % interval.

    signals: numbers or `ConceptSignal`s; times: steps, or what `.learning_time()` gives. Both by concept, or
    both in the same order. A concept that was never learned (None) is left out and named.

    Raises:
        TypeError: one by concept and the other in an order.
        ValueError: different concepts, fewer than three that were learned, one signal for all of them, or
            numbers that are not above 0.

    >>> import conceptscope as cs
    >>> signals = {"tense": 1.0, "size": 0.5, "colour": 0.25, "coin": 0.1}
    >>> cs.signal_law(signals, {"tense": 10, "size": 20, "colour": 40, "coin": None})
    SignalLaw(slope -1 [-1, -1], r -1.000, 3 concepts; never learned: coin)
    """
    named = _by_name(signals, times)
    never = tuple(name for name, (_, time) in named.items() if time is None)
    pairs = {name: (signal, time) for name, (signal, time) in named.items() if time is not None}
    if len(pairs) < 3:
        raise ValueError(f"a slope with an interval needs three concepts that were learned, got {len(pairs)}")
    for name, pair in pairs.items():
        if not all(np.isfinite(value) and value > 0 for value in pair):
            raise ValueError(
                f"signal and time of {name!r} are {pair[0]:g} and {pair[1]:g}: their logarithms need numbers "
                "above 0"
            )
    x, y = np.array(list(pairs.values())).T
    if len(set(x)) < 2:
        raise ValueError(f"all signals are {x[0]:g}: a slope needs different ones")
    return _fitted(x, y, never)


def _fitted(x: Any, y: Any, never: tuple[Any, ...]) -> SignalLaw:
    from scipy.stats import linregress, t

    line = linregress(np.log(x), np.log(y))
    half = float(t.ppf(0.975, len(x) - 2) * line.stderr)
    slope = float(line.slope)
    return SignalLaw(
        slope,
        slope - half,
        slope + half,
        float(line.intercept),
        float(line.rvalue),
        tuple(x.tolist()),
        tuple(y.tolist()),
        never,
    )


def _by_name(signals: Any, times: Any) -> dict[Any, tuple[float, float | None]]:
    if isinstance(signals, Mapping) != isinstance(times, Mapping):
        raise TypeError("signals and times are both by concept, or both in an order")
    if isinstance(signals, Mapping):
        if set(signals) != set(times):
            odd = sorted(map(str, set(signals) ^ set(times)))
            raise ValueError(f"signals and times are of different concepts: {', '.join(odd)}")
        return {name: (float(signals[name]), _steps(times[name])) for name in signals}
    if len(signals) != len(times):
        raise ValueError(f"{len(signals)} signals for {len(times)} times: each concept needs both")
    pairs = zip(signals, times, strict=True)
    return {number: (float(signal), _steps(time)) for number, (signal, time) in enumerate(pairs)}


def _steps(time: Any) -> float | None:
    found = time.step if isinstance(time, LearningTime) else time
    return None if found is None else float(found)
