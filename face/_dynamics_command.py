"""`conceptscope dynamics`: when a run learns each concept, in a table, pictures and files."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._console import console, stderr
from conceptscope._pictures import blank, save_picture
from conceptscope._resumable import resumable
from conceptscope._staged import staged
from conceptscope._sweep_command import _EXTRACTORS, Columns, read_examples
from conceptscope.analyses import LearningTime, Trajectory, checkpoints, trajectory
from conceptscope.analyses._trajectory_way import Of
from conceptscope.hooks import Examples

KEY = (
    "Learned: the first step from which the accuracy is .8 or more at three checkpoints in a row (of fewer, "
    "at all). Last: the accuracy at the last step, with its 95 % interval."
)
_IN_A_ROW = 3


@dataclass(frozen=True)
class Settings:
    """The options of the command, as they were given."""

    of: Of
    site: str | None
    position: int | str
    extractor: str
    smooth: float
    revisions: str | None


def run_dynamics(source: str, data: Sequence[str], out: Path, columns: Columns, settings: Settings) -> None:
    """Follow the concepts through the checkpoints, print and save; goes on with what an earlier call did."""
    kept = out / ".dynamics"
    with resumable(kept), staged(out) as stage:
        concepts = read_concepts(data, columns)
        revisions = None if settings.revisions is None else settings.revisions.split(",")
        found = trajectory(
            checkpoints(source, revisions=revisions),
            concepts,
            of=settings.of,
            extractor=_EXTRACTORS[settings.extractor],
            site=settings.site,
            position=settings.position,
            smooth=settings.smooth,
            store=kept / "checkpoints.jsonl",
            progress=stderr.is_terminal,
        )
        _save(found, stage)
    shutil.rmtree(kept)
    for one in (found, found.fixed):
        if one is not None:
            console.print(learning_table(one))
    console.print(KEY, highlight=False)
    for name, time in _times(found).items():
        if time.step is None:
            console.print(f"{name} was never learned: {time.reason}", markup=False, highlight=False)
    console.print(f"Saved in {out}: dynamics.csv, accuracies.csv, dynamics.png, learning.png", markup=False)


def read_concepts(data: Sequence[str], columns: Columns) -> dict[str, Examples]:
    """The examples of each concept, which is named after its file or its built-in name.

    Raises:
        ValueError: data that cannot be read, or two concepts of one name.
    """
    found: dict[str, Examples] = {}
    for one in data:
        name = Path(one).stem
        if name in found:
            raise ValueError(f"two concepts are called {name!r}: rename one of the files that --data names")
        found[name] = read_examples(one, columns)
    return found


def learning_table(found: Trajectory) -> Table:
    """For each concept when it was learned, and its last accuracy."""
    table = Table(title=found.of, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("concept", no_wrap=True)
    table.add_column("learned", justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True)
    times = _times(found)
    for number, name in enumerate(found.concepts):
        last = (part[-1, number] for part in (found.accuracy, found.accuracy_low, found.accuracy_high))
        step = times[name].step
        cells = (name, "never" if step is None else f"step {step:,}")
        table.add_row(*cells, "{:.2f} [{:.2f}, {:.2f}]".format(*last))
    return table


def _times(found: Trajectory) -> dict[str, LearningTime]:
    return found.learning_time(consecutive=min(_IN_A_ROW, len(found.steps)))


def _save(found: Trajectory, stage: Path) -> None:
    all_of = [found] if found.fixed is None else [found, found.fixed]
    frames = {"dynamics": Trajectory.to_frame, "accuracies": Trajectory.accuracies}
    for name, frame in frames.items():
        parts = [frame(one).assign(of=one.of) for one in all_of]
        pd.concat(parts).to_csv(stage / f"{name}.csv", index=False)
    save_picture(found.plot(blank()), stage / "dynamics.png")
    save_picture(found.plot_learning(blank()), stage / "learning.png")
