"""A trajectory, put together from what was read of each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conceptscope.analyses._trajectory_measured import Measured
from conceptscope.analyses._trajectory_plan import Plan
from conceptscope.analyses._trajectory_probes import FIXED
from conceptscope.analyses._trajectory_result import Trajectory
from conceptscope.analyses._trajectory_store import Record


def put_together(
    plan: Plan,
    records: Mapping[int, Record],
    steps: Sequence[int],
    smooth: float,
    settings: Mapping[str, Any],
) -> Trajectory:
    """The trajectory of these steps, with that of fixed probes inside if there were any."""
    kinds = list(records[steps[0]].readings)
    made = {
        kind: _one(plan, [records[step].readings[kind] for step in steps], tuple(steps), kind)
        | {"smooth": smooth, "settings": dict(settings), "unknown": dict(records[steps[-1]].unknown)}
        for kind in kinds
    }
    fixed = Trajectory(**made[FIXED]) if FIXED in made else None
    return Trajectory(**made[kinds[0]], fixed=fixed)


def _one(plan: Plan, measured: Sequence[Measured], steps: tuple[int, ...], kind: str) -> dict[str, Any]:
    axes, classes = tuple(plan.axes), tuple(plan.classes)
    concepts = tuple(one.name for one in plan.concepts)
    bounds = np.array([[[one.coordinates[c][a] for a in axes] for c in classes] for one in measured])
    right = np.array([[one.accuracy[name] for name in concepts] for one in measured])
    coordinates = dict(zip(("values", "low", "high"), np.moveaxis(bounds, -1, 0), strict=True))
    names = ("accuracy", "accuracy_low", "accuracy_high")
    accuracies = dict(zip(names, np.moveaxis(right, -1, 0), strict=True))
    about = {"steps": steps, "classes": classes, "axes": axes, "concepts": concepts, "of": kind}
    return about | coordinates | accuracies
