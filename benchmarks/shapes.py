"""Circles drawn by a generator that never saw small blue ones: `python benchmarks/shapes.py [--quick]`."""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from _tables import VERDICTS, show
from rich.table import Table

from conceptscope.analyses import Target, Trajectory, concept_signal, hidden_capability
from conceptscope.analyses._trajectory_measured import Measured
from conceptscope.analyses._trajectory_plan import Plan
from conceptscope.analyses._trajectory_store import Record
from conceptscope.analyses._trajectory_together import put_together
from conceptscope.hooks import Examples
from conceptscope.worlds import shapes
from conceptscope.worlds.shapes import Shapes, ShapesModel

HELD_OUT = ("small", "blue")
CLASSES = (*shapes.TRAINED, HELD_OUT)
SETTINGS = (Shapes(0.3, 0.2), Shapes(0.3, 0.4), Shapes(0.2, 0.8))
STEPS = (*range(0, 400, 25), *range(400, 1001, 100))
WAYS = ("train", "naive", "latent", "over", "patch")
SHARES, MASKED, EVERY, LIMIT = (0.0, 0.3, 0.6, 0.8), Shapes(0.3, 0.8), 5, 500
Run = Sequence[tuple[int, ShapesModel]]


def dynamics(seeds: int, picture: str | None) -> Iterator[Table]:
    """The same runs seen twice: their paths through concept space, and whether small blue is hidden."""
    titles = ("separations", "changes", "slopes", "seed", "learned: size, colour", "small blue to", "turns")
    moves = Table(*titles, title="When trained sizes and colours are right; where small blue ones are drawn")
    titles = ("separations", "seed", *WAYS, "random", "shifts, random, p", "verdict")
    times = Table(*titles, title="First steps at which small blue circles are drawn")
    for space, seed in itertools.product(SETTINGS, range(seeds)):
        run = shapes.checkpoints(STEPS, shapes=space, generator=seed)
        about, found = f"{space.size:g}, {space.colour:g}", path(run)
        moves.add_row(about, *signals(space), str(seed), *moved(found))
        times.add_row(about, str(seed), *elicited(run, seed))
        if picture is not None and seed == 0 and space == SETTINGS[0]:
            found.plot().figure.savefig(picture, dpi=100)
    yield moves
    yield times


def masking(seeds: int, _: str | None) -> Iterator[Table]:
    """When a colour is learned that is left unsaid."""
    table = Table(
        "share of circles", "steps, by seed", "mean", title="Steps until an unsaid colour is learned"
    )
    means = []
    for share in SHARES:
        times = [colour_time(share, seed) for seed in range(seeds)]
        means.append(float(np.mean([np.nan if one is None else one for one in times])))
        table.add_row(f"{share:.0%}", ", ".join(map(str, times)), f"{means[-1]:.0f}")
    rising = all(before < after for before, after in itertools.pairwise(means))
    table.caption = f"rising: {VERDICTS[rising]}"
    yield table


def signals(space: Shapes) -> list[str]:
    """How far the image goes when size, or colour, alone changes from large red's; and its derivatives.

    The derivative by the size is all in the circle's edge, and the greater the sharper it is drawn.
    """
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    images = space.draw(corners)
    changes = (images[1:] - images[0]).flatten(1).norm(dim=1).tolist()
    slopes = [concept_signal(space.draw, concept, at=corners).value for concept in (0, 1)]
    return [", ".join(f"{one:.1f}" for one in both) for both in (changes, slopes)]


def path(run: Run) -> Trajectory:
    """The run in concept space: where each class's circles are, cut off at 0 and 1."""
    prompts = {" ".join(one): Examples(shapes.prompts(*one)) for one in CLASSES}
    trained = [(one, text) for one in shapes.TRAINED for text in shapes.prompts(*one)]
    texts = [text for _, text in trained]
    concepts = {word: Examples(texts, [str(word in one) for one, _ in trained]) for word in HELD_OUT}
    plan = Plan.of(concepts, prompts)
    records = {}
    for step, model in run:
        places = model.positions(Examples(list(plan.texts))).clamp(0, 1).double().numpy()
        shares = {word: np.stack([1 - at, at], 1) for word, at in zip(concepts, places.T, strict=True)}
        records[step] = Record({"images": Measured.of(plan, shares, None)})
    return put_together(plan, records, [step for step, _ in run], 0.0, {})


def moved(found: Trajectory) -> list[str]:
    """When concepts were learned; where small blue was farthest from the diagonal since; its turns."""
    learned = found.learning_time(consecutive=2)
    places = found.values[:, found.classes.index(" ".join(HELD_OUT))]
    competent = found.accuracy.max(1) >= 0.8
    at = int((np.abs(places[:, 0] - places[:, 1]) * competent).argmax())
    drawn, last = (", ".join(f"{one:.2f}" for one in places[step]) for step in (at, -1))
    turned = [turn for turn in found.turning_points() if turn.label == " ".join(HELD_OUT)]
    return [
        ", ".join(str(learned[name].step) for name in found.concepts),
        f"{drawn} at {found.steps[at]}; last {last}",
        "; ".join(f"{turn.angle:.0f} degrees at {turn.step}" for turn in turned) or "none",
    ]


def target() -> Target:
    trained = {(): ("large", "red"), ("size",): ("small", "red"), ("colour",): ("large", "blue")}
    return Target(
        shapes.prompts(*HELD_OUT, 5),
        dict(shapes.SUCCESS),
        {which: shapes.prompts(*words, 5) for which, words in trained.items()},
    )


def elicited(run: Run, seed: int) -> list[str]:
    """The times, what random directions did beside them, and the verdict."""
    found = hidden_capability(run, target(), grid=[1.0, 2.0], generator=seed)
    first = [time for time in found.t_random if time is not None]
    random = f"{len(first)} of {found.families}" + (f", from {min(first)} on" if first else "")
    rates = "never silent"
    if found.latent_rate is not None and found.null_rate is not None:
        rates = f"{found.latent_rate:.1%}, {found.null_rate:.1%}, {found.p:.2f}"
    said = "hidden" if found.hidden else "not shown"
    return [*(str(getattr(found, f"t_{way}")) for way in WAYS), random, rates, said]


def colour_time(share: float, seed: int) -> int | None:
    """The first of three looks running at which large blue circles are bluer than large red ones by .8."""
    asked = Examples([text for one in shapes.TRAINED[::2] for text in shapes.prompts(*one, 8)])
    gaps: list[tuple[int, float]] = []

    def look(step: int, model: ShapesModel) -> None:
        if step % EVERY == 0:
            red, blue = model.positions(asked)[:, 1].clamp(0, 1).view(2, -1).mean(1).tolist()
            gaps.append((step, blue - red))

    shapes.train(LIMIT, shapes=MASKED, masked=(0.0, share), at=look, generator=seed)
    runs = (gaps[at : at + 3] for at in range(len(gaps) - 2))
    return next((run[0][0] for run in runs if all(gap >= 0.8 for _, gap in run)), None)


PARTS: dict[str, Callable[[int, str | None], Iterator[Table]]] = {
    "dynamics": dynamics,
    "masking": masking,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"by default all: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    parser.add_argument("--picture", help="a file for the paths of the first run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.parts or PARTS:
        begun = time.process_time()
        for table in PARTS[name](1 if given.quick else 3, given.picture):
            show(table, f"{time.process_time() - begun:.0f} s of CPU")


if __name__ == "__main__":
    main()
