"""Trajectories of a model that is being trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from conceptscope.analyses._trajectory_measured import Measured
from conceptscope.analyses._trajectory_plan import Plan
from conceptscope.analyses._trajectory_result import Trajectory
from conceptscope.analyses._trajectory_store import Record, TrajectoryStore
from conceptscope.analyses._trajectory_together import put_together
from conceptscope.analyses._trajectory_way import Of, Way
from conceptscope.hooks import Examples, HookedModel, Site, load_model
from conceptscope.hooks._positions import Position
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import drawn_seed
from conceptscope.hooks._rows import check_size
from conceptscope.probes import Extractor, MeanDifference


class ConceptWatch:
    """Follows concepts in a model while it is trained, in two lines of a training loop of one's own.

    ``watch = ConceptWatch(model, concepts, tokenizer=tokenizer, every=100)`` before the loop and
    ``watch(step)`` in it; ``watch.trajectory()`` is what there is so far, a `Trajectory`. The weights, the
    model's mode (training or not) and all random states stay as they are.

    model: a Hugging Face model with its tokenizer, or a HookedModel of it.
    every: a step is looked at if it is a multiple; steps: these are looked at instead, such as powers of two.
    Other arguments are those of `trajectory`. Probes are refitted ones; outputs need tokens=, as there is no
    last checkpoint yet. With a store, steps that are in it are not looked at again.

    Raises:
        TypeError: concepts, prompts or tokens that are no such mappings.
        ValueError: settings out of range, outputs without tokens, a model without its tokenizer, or a store
            of something else.

    >>> import conceptscope as cs
    >>> model, tense = cs.load_model("tinyworld"), cs.load_examples("tinyworld/tense")[:80]
    >>> watch = cs.ConceptWatch(model, {"tense": tense}, every=10)
    >>> for step in range(25):
    ...     watch(step)
    >>> watch.trajectory()
    Trajectory(refitted probes; 3 checkpoints, steps 0 to 20; 2 classes; tense)
    """

    def __init__(
        self,
        model: Any,
        concepts: Mapping[str, Examples],
        *,
        tokenizer: Any = None,
        every: int = 100,
        steps: Sequence[int] | None = None,
        prompts: Mapping[str, Examples | Sequence[Text]] | None = None,
        of: Of = "activations",
        extractor: Extractor = MeanDifference(),  # noqa: B008  frozen
        site: Site | str | None = None,
        position: Position = "last",
        tokens: Mapping[str, Mapping[Any, Any]] | None = None,
        folds: int = 5,
        generator: int | torch.Generator = 0,
        store: str | Path | None = None,
    ) -> None:
        check_size("every", every)
        self._every, self._steps = every, None if steps is None else frozenset(steps)
        self._plan = Plan.of(concepts, prompts)
        way = Way(of, extractor, site, position, tokens, folds, drawn_seed(generator))
        self._model = model if isinstance(model, HookedModel) else load_model(model, tokenizer=tokenizer)
        self._read: Callable[[HookedModel], dict[str, Measured]] = way.by_itself(self._plan, self._model)
        self._settings = way.settings(self._plan) | {"checkpoints": "a live run"}
        self._kept = TrajectoryStore(store, self._settings)

    def __call__(self, step: int) -> None:
        """Look at the model if it is the step's turn."""
        wanted = step % self._every == 0 if self._steps is None else step in self._steps
        if wanted and step not in self._kept.records:
            self._kept.add(step, Record(self._read(self._model)))

    def trajectory(self, smooth: float = 0.0) -> Trajectory:
        """What there is so far.

        Raises:
            ValueError: no step was looked at yet.
        """
        steps = sorted(self._kept.records)
        if not steps:
            raise ValueError("no step was looked at yet: call watch(step) in the training loop")
        return put_together(self._plan, self._kept.records, steps, smooth, self._settings)


class ConceptCallback(TrainerCallback):
    """Follows concepts while transformers' Trainer trains a model.

    ``Trainer(..., callbacks=[ConceptCallback(concepts, every=100)])``; afterwards, or meanwhile,
    ``callback.trajectory()``. It looks at step 0 before the training and at every so many steps of it; the
    tokenizer is the Trainer's processing_class, or tokenizer=. Of several processes the first one looks.
    Arguments are those of `ConceptWatch`, which serves a loop of one's own.

    Raises:
        TypeError: concepts, prompts or tokens that are no such mappings, when the training begins.
        ValueError: settings out of range, when the training begins.
    """

    def __init__(self, concepts: Mapping[str, Examples], *, tokenizer: Any = None, **settings: Any) -> None:
        self._concepts, self._tokenizer, self._settings = concepts, tokenizer, settings
        self._watch: ConceptWatch | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Look at the model as it is before the training."""
        if state.is_world_process_zero:
            tokenizer = self._tokenizer or given.get("processing_class")
            self._watch = ConceptWatch(given["model"], self._concepts, tokenizer=tokenizer, **self._settings)
            self._watch(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Look at the model if it is the step's turn."""
        if self._watch is not None:
            self._watch(state.global_step)

    def trajectory(self, smooth: float = 0.0) -> Trajectory:
        """What there is so far.

        Raises:
            ValueError: the training has not begun.
        """
        if self._watch is None:
            raise ValueError("the training has not begun: give the callback to the Trainer, and call train()")
        return self._watch.trajectory(smooth)
