"""The labels that a sweep fits: the true ones, and those of its controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from conceptscope.hooks import Activations
from conceptscope.probes._clustered import row_clusters
from conceptscope.probes._controls import control_task_codes, shuffled_codes
from conceptscope.probes._fits import Problems
from conceptscope.probes._folds import assign_folds
from conceptscope.probes._labelled import label_codes

_SHUFFLED_ROWS, _MOST_SHUFFLES, _TASKS = 2000, 10, 5


@dataclass(frozen=True, eq=False)
class LabelSets:
    """Who is held out when, the true class numbers, and those of the controls."""

    codes: Int[np.ndarray, " example"]
    classes: tuple[Any, ...]
    cluster: Int[np.ndarray, " example"]
    fold: Int[np.ndarray, " example"]
    folds: int
    shuffled: list[Int[np.ndarray, " example"]]
    control_tasks: list[Int[np.ndarray, " example"]]
    seed: int

    @classmethod
    def draw(
        cls,
        activations: Activations,
        folds: int,
        *,
        controls: bool,
        permutations: int,
        types: Sequence[Any] | None,
        rng: np.random.Generator,
    ) -> LabelSets:
        """Folds, shuffled labels (as many as asked for, or a few) and the labels of five control tasks.

        Raises:
            ValueError: no labels, one class, too few groups for the folds or for shuffling, or types that
                are not one for each row or do not recur in other folds.
        """
        found, classes = label_codes(activations)
        codes, cluster = found.numpy(), row_clusters(activations)
        fold = assign_folds(codes, cluster, classes, folds, int(rng.integers(2**31)))
        few = min(-(-_SHUFFLED_ROWS // len(codes)), _MOST_SHUFFLES) if controls else 0
        shuffled = [shuffled_codes(codes, cluster, fold, rng) for _ in range(max(few, permutations))]
        tasks = []
        if types is not None:
            tasks = [control_task_codes(codes, types, fold, rng) for _ in range(_TASKS)]
        return cls(codes, classes, cluster, fold, folds, shuffled, tasks, int(rng.integers(2**62)))

    @property
    def all(self) -> Int[np.ndarray, "set example"]:
        """The true class numbers, those of each shuffle and those of each control task."""
        return np.stack([self.codes, *self.shuffled, *self.control_tasks])

    def problems(self) -> Problems:
        """The fits to make: each set of labels without each fold, and at last the true ones on all rows."""
        sets = torch.from_numpy(self.all)
        kept = torch.from_numpy(self.fold) != torch.arange(self.folds)[:, None]
        train = torch.cat([kept.repeat(len(sets), 1), torch.ones_like(kept[:1])])
        return Problems(train, torch.cat([sets.repeat_interleave(self.folds, 0), sets[:1]]))

    def held_out(self, scores: Float[Tensor, "problem example k"]) -> list[Float[np.ndarray, "example k"]]:
        """For each set of labels the scores of each row by the fit that did not see it."""
        rows = torch.arange(len(self.fold))
        own = torch.from_numpy(self.fold)
        return [scores[number * self.folds + own, rows].cpu().numpy() for number in range(len(self.all))]
