"""Where a model is in concept space, checkpoint by checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._trajectory_times import LearningTime, learning_time
from conceptscope.analyses._trajectory_turns import Turn, smoothed, turns
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """Where each class is in concept space, checkpoint by checkpoint; see `trajectory`.

    values, low, high: coordinates [checkpoint, class, axis] as they were measured, with 95 % intervals; an
    axis is a concept of two values (towards the last of them), or one value of a concept of many.
    accuracy, accuracy_low, accuracy_high: [checkpoint, concept], of each concept's own examples.
    of: what was read: "outputs", "refitted probes" or "fixed probes".
    fixed: the same by fixed probes, where there are any.
    unknown: why nothing could be known of a concept.
    """

    steps: tuple[int, ...]
    classes: tuple[str, ...]
    axes: tuple[str, ...]
    concepts: tuple[str, ...]
    values: Float[np.ndarray, "checkpoint class axis"]
    low: Float[np.ndarray, "checkpoint class axis"]
    high: Float[np.ndarray, "checkpoint class axis"]
    accuracy: Float[np.ndarray, "checkpoint concept"]
    accuracy_low: Float[np.ndarray, "checkpoint concept"]
    accuracy_high: Float[np.ndarray, "checkpoint concept"]
    of: str
    smooth: float = 0.0
    fixed: Trajectory | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def coordinates(self) -> Float[np.ndarray, "checkpoint class axis"]:
        """The values smoothed over neighbouring checkpoints: the paths.

        Raises:
            ValueError: fewer checkpoints than the smoothing needs.
        """
        return smoothed(self.values, self.smooth)

    def learning_time(self, threshold: float = 0.8, consecutive: int = 3) -> dict[str, LearningTime]:
        """For each concept the step from which so many accuracies in a row reach the threshold.

        One that was never learned has the step None and says why.

        Raises:
            ValueError: fewer checkpoints than are wanted in a row.
        """
        found = {}
        for number, name in enumerate(self.concepts):
            time = learning_time(
                self.accuracy[:, number].tolist(), self.steps, threshold=threshold, consecutive=consecutive
            )
            found[name] = LearningTime(None, self.unknown[name]) if name in self.unknown else time
        return found

    def turning_points(
        self,
        axes: Sequence[str] = (),
        *,
        competence: Sequence[float] | None = None,
        threshold: float = 0.8,
        angle: float = 45.0,
        least: float = 0.05,
    ) -> list[Turn]:
        """Where the paths of the classes turn, once the model is competent at what it is trained on.

        Before that, paths turn by noise alone, and such turns do not count.

        axes: of the space whose paths are looked at; by default those of all concepts that are ever learned
            (three checkpoints in a row at the threshold, or as many as there are).
        competence: the accuracy on training classes, for each checkpoint; by default the lowest accuracy of
            these concepts.
        threshold: from the first checkpoint on at which competence reaches it, turns count.
        angle: the degrees between a move and the next that make a turn.
        least: how far a move goes in concept space, whose axes run from 0 to 1; a path that rests has a
            direction of noise only.

        Raises:
            KeyError: no such axis.
            ValueError: fewer than three checkpoints, fewer than the smoothing needs, or another number of
                competences.
        """
        if len(self.steps) < 3:
            raise ValueError(f"a turn needs three checkpoints, and there are {len(self.steps)}: give more")
        chosen = [self.axis(one) for one in axes] or self._learned_axes(threshold)
        first = self._competent(competence, chosen, threshold)
        if first is None:
            return []
        paths = self.coordinates[:, :, chosen]
        return [
            Turn(label, self.steps[at], degrees, tuple(paths[at, number].round(6).tolist()))
            for number, label in enumerate(self.classes)
            for at, degrees in turns(paths[:, number], first=first, angle=angle, least=least)
        ]

    def axis(self, name: str) -> int:
        """The number of an axis.

        Raises:
            KeyError: no such axis.
        """
        if name not in self.axes:
            raise KeyError(f"no axis {name!r} in this concept space: there is {', '.join(self.axes)}")
        return self.axes.index(name)

    def _learned_axes(self, threshold: float) -> list[int]:
        times = self.learning_time(threshold, min(3, len(self.steps)))
        learned = {name for name, time in times.items() if time.step is not None}
        return [number for number, axis in enumerate(self.axes) if self._concept_of(axis) in learned]

    def _concept_of(self, axis: str) -> str:
        """The concept that an axis is of: its own name, or the part before "=value"."""
        return (
            axis
            if axis in self.concepts
            else max((name for name in self.concepts if axis.startswith(f"{name}=")), key=len)
        )

    def _competent(self, given: Sequence[float] | None, axes: Sequence[int], threshold: float) -> int | None:
        """The number of the first checkpoint at which the model is competent; None if it never is."""
        if given is not None and len(given) != len(self.steps):
            raise ValueError(f"{len(given)} competences for {len(self.steps)} checkpoints: each needs one")
        if not axes:
            return None
        concepts = [self.concepts.index(self._concept_of(self.axes[axis])) for axis in axes]
        accuracy = self.accuracy[:, concepts].min(1).tolist() if given is None else given
        return next((at for at, value in enumerate(accuracy) if value >= threshold), None)

    def to_frame(self) -> pd.DataFrame:
        """One row a checkpoint, class and concept: the value as it was measured, low and high."""
        import pandas as pd

        rows = [
            (step, label, axis, *(float(part[i, j, k]) for part in (self.values, self.low, self.high)))
            for i, step in enumerate(self.steps)
            for j, label in enumerate(self.classes)
            for k, axis in enumerate(self.axes)
        ]
        return pd.DataFrame(rows, columns=["checkpoint", "class", "concept", "value", "low", "high"])

    def accuracies(self) -> pd.DataFrame:
        """One row a checkpoint and concept: the accuracy on the concept's own examples, low and high."""
        import pandas as pd

        parts = (self.accuracy, self.accuracy_low, self.accuracy_high)
        rows = [
            (step, name, *(float(part[i, j]) for part in parts))
            for i, step in enumerate(self.steps)
            for j, name in enumerate(self.concepts)
        ]
        return pd.DataFrame(rows, columns=["checkpoint", "concept", "accuracy", "low", "high"])

    def plot(
        self, ax: Axes | None = None, *, axes: tuple[str, str] | None = None, classes: Sequence[str] = ()
    ) -> Axes:
        """The classes' paths through the plane of two concepts, steps as colour, turns marked.

        axes: the two, by default the first of which anything is known; with one concept alone the plane is
            that of steps and values.
        classes: by default all, or those that are values of the two concepts.

        Raises:
            KeyError: no such axis or class.
        """
        from conceptscope.analyses._trajectory_plot import plot_paths

        return plot_paths(self, ax, axes, classes)

    def plot_learning(self, ax: Axes | None = None) -> Axes:
        """The accuracy of each concept against the steps, with intervals."""
        from conceptscope.analyses._trajectory_plot import plot_learning

        return plot_learning(self, ax)

    def __repr__(self) -> str:
        return (
            f"Trajectory({self.of}; {len(self.steps)} checkpoints, steps {self.steps[0]} to "
            f"{self.steps[-1]}; {len(self.classes)} classes; {', '.join(self.axes)})"
        )

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = [
            {"concept": name, "accuracy": self.accuracy[-1, number]}
            | {"low": self.accuracy_low[-1, number], "high": self.accuracy_high[-1, number]}
            | ({"learned": self._learned(name)} if len(self.steps) >= 3 else {})
            for number, name in enumerate(self.concepts)
        ]
        return table_html(f"{self!r}; accuracies at step {self.steps[-1]}", pd.DataFrame(rows))

    def _learned(self, name: str) -> str:
        time = self.learning_time()[name]
        return time.reason if time.step is None else f"step {time.step}"
