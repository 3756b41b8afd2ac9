"""What training does, beside the bars of research/dynamics.md: `python benchmarks/dynamics.py [PART ...]`."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

import torch
import transformers
from _tables import VERDICTS, show
from rich.table import Table

from conceptscope.analyses import Trajectory, checkpoints, concept_signal, signal_law, trajectory
from conceptscope.hooks import load_examples, load_model

CONCEPTS = ("sentiment", "tense", "number", "gender", "size", "colour", "truth", "coin")
SECONDS = 60


def tinyworld() -> Iterator[Table]:
    """A sweep of the embedded run with eight concepts, in activations and in outputs."""
    concepts = {name: load_examples(f"tinyworld/{name}") for name in CONCEPTS}
    timing = Table("25 checkpoints, 8 concepts", "wall", "CPU", "wanted", "", title="Time of a sweep")
    found: dict[str, Trajectory] = {}
    for of in ("activations", "outputs"):
        wall, cpu = time.perf_counter(), time.process_time()
        found[of] = trajectory(checkpoints("tinyworld"), concepts, of=of)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        timing.add_row(of, f"{wall:.0f} s", f"{cpu:.0f} s", f"< {SECONDS} s", VERDICTS[wall < SECONDS])
    yield timing
    fixed = found["activations"].fixed
    assert fixed is not None
    yield learned({"outputs": found["outputs"], "refitted": found["activations"], "fixed": fixed})
    yield law(found["outputs"])


def learned(found: dict[str, Trajectory]) -> Table:
    """When each concept is learned, and the last accuracy."""
    table = Table("concept", *found, title="Learned at step (last accuracy)")
    times = {name: one.learning_time() for name, one in found.items()}
    for number, concept in enumerate(CONCEPTS):
        cells = (
            f"{times[name][concept].step or 'never'} ({one.accuracy[-1, number]:.2f})"
            for name, one in found.items()
        )
        table.add_row(concept, *cells)
    return table


def law(outputs: Trajectory) -> Table:
    """Signals of the concepts in the trained model, and their times: a run, not a bar."""
    model = load_model("tinyworld")
    paired = [name for name in CONCEPTS if name != "coin"]
    signals = {name: concept_signal(model, load_examples(f"tinyworld/{name}")) for name in paired}
    times = {name: time for name, time in outputs.learning_time().items() if name in paired}
    table = Table("concept", "sqrt(JS)", "learned at step", title=repr(signal_law(signals, times)))
    for name in sorted(paired, key=lambda name: -signals[name].value):
        table.add_row(name, f"{signals[name].value:.3f}", str(times[name].step or "never"))
    return table


PARTS: dict[str, Callable[[], Iterator[Table]]] = {"tinyworld": tinyworld}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="by default all")
    parser.add_argument("--threads", type=int, default=1, help="more gain nothing on a model this small")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    transformers.logging.set_verbosity_error()
    for name in given.parts or PARTS:
        for table in PARTS[name]():
            show(table)


if __name__ == "__main__":
    main()
