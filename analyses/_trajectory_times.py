"""When something is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conceptscope.hooks._rows import check_size


@dataclass(frozen=True, repr=False)
class LearningTime:
    """The step from which something was known; None where it never was, and then `reason` says why.

    reason: in words, also where it was learned.
    """

    step: int | None
    reason: str

    @property
    def speed(self) -> float:
        """1 / step; 0 where it was never learned.

        Raises:
            ValueError: it was known at step 0, before any training.
        """
        if self.step == 0:
            raise ValueError("it was known at step 0, before any training, so that there is no speed")
        return 0.0 if self.step is None else 1 / self.step

    def __repr__(self) -> str:
        said = "never" if self.step is None else f"step {self.step}"
        return f"LearningTime({said}: {self.reason})"


def learning_time(
    accuracy: Sequence[float], steps: Sequence[int], *, threshold: float = 0.8, consecutive: int = 3
) -> LearningTime:
    """The first step from which so many accuracies in a row reach the threshold.

    Raises:
        ValueError: other numbers of steps, or fewer than are wanted in a row.

    >>> import conceptscope as cs
    >>> cs.learning_time([0.5, 0.9, 0.6, 0.8, 0.9, 1.0], [0, 1, 2, 4, 8, 16])
    LearningTime(step 4: .8 or more at 3 checkpoints in a row)
    >>> cs.learning_time([0.5, 0.6, 0.7], [0, 1, 2])
    LearningTime(never: at most .7, at step 2, where .8 is wanted)
    """
    check_size("consecutive", consecutive)
    if len(accuracy) != len(steps):
        raise ValueError(f"{len(accuracy)} accuracies for {len(steps)} steps: each step needs one")
    if len(steps) < consecutive:
        raise ValueError(
            f"{consecutive} checkpoints in a row are wanted, and there are {len(steps)}: "
            f"give more, or consecutive={len(steps)} or fewer"
        )
    above = [value >= threshold for value in accuracy]
    for at in range(len(steps) - consecutive + 1):
        if all(above[at : at + consecutive]):
            where = "one checkpoint" if consecutive == 1 else f"{consecutive} checkpoints in a row"
            return LearningTime(steps[at], f"{_short(threshold)} or more at {where}")
    return LearningTime(None, _why_never(accuracy, steps, above, threshold, consecutive))


def _why_never(
    accuracy: Sequence[float], steps: Sequence[int], above: Sequence[bool], threshold: float, consecutive: int
) -> str:
    best = max(range(len(steps)), key=lambda at: accuracy[at])
    if not above[best]:
        return f"at most {_short(accuracy[best])}, at step {steps[best]}, where {_short(threshold)} is wanted"
    if above[-1]:
        first = len(above) - list(above[::-1]).index(False)
        return (
            f"{_short(threshold)} or more from step {steps[first]} on, which is {len(above) - first} "
            f"checkpoints, and {consecutive} in a row are wanted: later ones would tell"
        )
    return f"{_short(threshold)} or more at single checkpoints, and not at {consecutive} in a row"


def _short(value: float) -> str:
    return f"{value:.3g}".removeprefix("0") or "0"
