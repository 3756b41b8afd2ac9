"""Pictures of trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from conceptscope.probes._axes import GREY, given_or_new, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._trajectory_result import Trajectory

_MARKERS = "os^Dv<>Pp*hX"
_TICKS = 6


def plot_paths(
    found: Trajectory, ax: Axes | None, axes: tuple[str, str] | None, classes: Sequence[str]
) -> Axes:
    """Each class's path with its steps as colour, and a ring where it turns."""
    ax = given_or_new(ax)
    known = [axis for axis in found.axes if axis not in found.unknown]
    plane = tuple(axes or known[:2] or found.axes[:2])
    shown = _shown(found, plane, classes)
    paths, order = found.coordinates, np.arange(len(found.steps))
    chosen = [found.axis(axis) for axis in plane]
    turned = found.turning_points(plane) if len(found.steps) >= 3 else []
    for number, label in enumerate(shown):
        path = paths[:, found.classes.index(label)][:, chosen]
        x, y = path.T if len(plane) == 2 else (order, path[:, 0])
        ax.plot(x, y, color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
        marker = _MARKERS[number % len(_MARKERS)]
        dots = ax.scatter(x, y, c=order, cmap="viridis", marker=marker, s=22, label=label, zorder=2)
        rings = [found.steps.index(turn.step) for turn in turned if turn.label == label]
        ax.scatter(x[rings], y[rings], s=130, facecolors="none", edgecolors="black", zorder=3)
    ax.set_ylim(-0.03, 1.03)
    if len(plane) == 2:
        ax.set(xlim=(-0.03, 1.03), xlabel=plane[0], ylabel=plane[1])
        _step_bar(found, ax, dots)
    else:
        ax.set(ylabel=plane[0])
        _step_axis(found, ax)
    ax.legend(frameon=False, fontsize="small", loc="best")
    return ax


def plot_learning(found: Trajectory, ax: Axes | None) -> Axes:
    """The accuracies of all concepts against the steps, which stand evenly apart."""
    ax = given_or_new(ax)
    order = np.arange(len(found.steps))
    for number, name in enumerate(found.concepts):
        (line,) = ax.plot(order, found.accuracy[:, number], "o-", markersize=3, label=name)
        low, high = found.accuracy_low[:, number], found.accuracy_high[:, number]
        ax.fill_between(order, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    _step_axis(found, ax)
    ax.set_ylim(0, 1.02)
    ax.set_ylabel(f"accuracy ({found.of})")
    ax.grid(axis="y", alpha=0.3)
    legend_beside(ax)
    return ax


def _shown(found: Trajectory, plane: Sequence[str], classes: Sequence[str]) -> list[str]:
    for label in classes:
        if label not in found.classes:
            raise KeyError(f"no class {label!r} in this trajectory: there is {', '.join(found.classes)}")
    own = [label for label in found.classes if any(label.startswith(f"{axis}=") for axis in plane)]
    return list(classes) or own or list(found.classes)


def _ticks(found: Trajectory) -> tuple[list[int], list[str]]:
    n = len(found.steps)
    at = sorted({round(number) for number in np.linspace(0, n - 1, min(n, _TICKS))})
    return at, [f"{found.steps[number]:,}" for number in at]


def _step_axis(found: Trajectory, ax: Axes) -> None:
    ax.set_xticks(*_ticks(found))
    ax.set_xlabel("training step")


def _step_bar(found: Trajectory, ax: Axes, dots: object) -> None:
    at, names = _ticks(found)
    bar = ax.figure.colorbar(dots, ax=ax, label="training step")  # type: ignore[arg-type]
    bar.set_ticks(at, labels=names)
