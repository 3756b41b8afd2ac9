"""The paths of classes through concept space while a model is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from conceptscope.analyses._checkpoints import Checkpoints
from conceptscope.analyses._checkpoints import checkpoints as checkpoints_of
from conceptscope.analyses._trajectory_plan import Plan
from conceptscope.analyses._trajectory_result import Trajectory
from conceptscope.analyses._trajectory_store import Record, TrajectoryStore
from conceptscope.analyses._trajectory_together import put_together
from conceptscope.analyses._trajectory_turns import smoothed
from conceptscope.analyses._trajectory_way import Of, Way
from conceptscope.hooks import Examples, Site
from conceptscope.hooks._positions import Position
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import drawn_seed
from conceptscope.probes import Extractor, MeanDifference


def trajectory(
    checkpoints: Checkpoints | str | Path | Mapping[int, Any],
    concepts: Mapping[str, Examples],
    *,
    prompts: Mapping[str, Examples | Sequence[Text]] | None = None,
    of: Of = "activations",
    extractor: Extractor = MeanDifference(),  # noqa: B008  frozen
    site: Site | str | None = None,
    position: Position = "last",
    tokens: Mapping[str, Mapping[Any, Any]] | None = None,
    smooth: float = 0.0,
    folds: int = 5,
    generator: int | torch.Generator = 0,
    store: str | Path | None = None,
    progress: bool = False,
) -> Trajectory:
    """Where each class's prompts are in concept space, checkpoint by checkpoint, with 95 % intervals.

    An axis of concept space is a concept of two values, from 0 to 1 towards the last of its sorted labels; of
    more values each has an axis. A class's coordinate is the mean over its prompts.

    concepts: labelled examples for each concept. prompts: for each class its prompts; without them a class is
        a value of a concept ("tense=past"), its prompts the examples with that label, and every concept is
        read in all of them.
    of: "outputs" is what the model produces: the probability that the next token is one of the value's
        tokens, given that it is one of any value's. "activations" is what it has inside: the share of prompts
        that a probe takes for the value. Probes are refitted at each checkpoint, and never read examples that
        they were fitted to: these are held out in folds. `.fixed` reads the same by probes of the last
        checkpoint, fixed. Refitted ones ask when the concept can be read, fixed ones when it is where it
        ends up: they answer different questions. On an untrained model refitted probes read the words
        themselves, so that accuracies may begin far above chance.
    extractor, site, position, folds: of the probes. The site is by default the residual stream half-way up.
    tokens: for of="outputs", {concept: {value: tokens}}; by default those by which the last checkpoint tells
        a concept's values apart (at a false discovery rate of 5 %). Where it does not, the concept's values
        share alike everywhere, and `.learning_time()` says so. What is found depends on the texts: with few,
        accuracies may be of other words than with many, so name the tokens where they are known.
    smooth: Gaussian smoothing of the paths, the standard deviation in checkpoints. Values and intervals stay
        as they were measured.
    store: a file to which each checkpoint's numbers are appended as soon as they are there, so that the same
        call goes on where a stopped one was.

    One checkpoint is in memory at a time.

    Raises:
        OSError: a checkpoint that cannot be loaded, or a store that cannot be written to.
        TypeError: concepts, prompts or tokens that are no such mappings.
        ValueError: a concept without labels or with one value, fewer checkpoints than the smoothing needs,
            checkpoints of different architectures, a store of something else, or a setting out of range.

    Source: Park, Okawa, Lee, Lubana and Tanaka, arXiv 2406.19370, section 3 (concept space).

    >>> import conceptscope as cs
    >>> tense = cs.load_examples("tinyworld/tense")[:80]
    >>> found = cs.trajectory(cs.checkpoints("tinyworld")[::8], {"tense": tense})
    >>> found
    Trajectory(refitted probes; 4 checkpoints, steps 0 to 3906; 2 classes; tense)
    >>> found.fixed.learning_time(consecutive=2)["tense"].step
    577
    """
    run, plan = checkpoints_of(checkpoints), Plan.of(concepts, prompts)
    way = Way(of, extractor, site, position, tokens, folds, drawn_seed(generator))
    smoothed(np.zeros(len(run)), smooth)
    settings = way.settings(plan) | {"checkpoints": run.name, "last": run.steps[-1]}
    kept = TrajectoryStore(store, settings)
    missing = [step for step in run.steps if step not in kept.records]
    with progress_bar("checkpoints", len(run), progress) as done:
        done(len(run) - len(missing))
        if missing:
            read, unknown = way.by_last(plan, run.load(run.steps[-1]))
            for step in missing:
                kept.add(step, Record(read(run.load(step)), unknown))
                done(1)
    return put_together(plan, kept.records, run.steps, smooth, settings)
