"""What a store costs, and what a shared prefix saves: `python benchmarks/store.py [--quick]`."""

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers
from _tables import VERDICTS, show
from _timing import (
    N_LAYERS,
    SIZES,
    VOCABULARY,
    Bench,
    Report,
    Run,
    arguments,
    bare,
    contrast_pairs,
    error,
    make_model,
    most_resident,
    one_at_a_time,
    padded,
    parser,
    texts,
    tokenizer,
)
from rich.table import Table

from conceptscope.hooks import Activations, Examples, HookedModel, capture, load_model
from conceptscope.hooks._store import open_store
from conceptscope.probes import LinearDiscriminant, MeanDifference, sweep

PREFIX, BEHIND = 128, 32
SHARED, PAIRS = 0.35, 0.7
WRITING = 1 / 0.8
OPENING = 50.0
FLAT = 100.0
GIGABYTE = 1 << 30
FEW, MANY = 1_000, 100_000
WIDTH = 512


def main() -> None:
    made = parser("What a store costs over memory, and capture with a common prefix over bare forwards.")
    made.add_argument("--examples", type=int, help="measure the memory of this process with so many, no more")
    made.add_argument("--fit", type=Path, help="measure the memory of fitting over this store, no more")
    given = arguments(made)
    if given.fit:
        print(fitting_peak(given.fit))
        return
    if given.examples:
        print(peak(given.examples))
        return
    bench = Bench(given.quick)
    models = {size: make_model(size) for size in SIZES}
    prefixes(models, bench, given.threads, given.texts)
    with tempfile.TemporaryDirectory() as folder:
        writing(models, bench, given.threads, given.texts, Path(folder))
        figures(Path(folder), given.quick, given.threads)
        fitting(Path(folder) / "wide", given.quick, given.threads)


def prefixes(models: dict[str, HookedModel], bench: Bench, threads: int, n: int) -> None:
    report = Report("capture / bare forwards of the whole texts", threads)
    same = [f"{texts(1, PREFIX, PREFIX, seed=1)[0]} {text}" for text in texts(n, BEHIND, BEHIND)]
    pairs = contrast_pairs(n // 2)
    for size, model in models.items():
        check(model, same[:40])
        for what, given, bar in (
            (f"{n} texts of {BEHIND} tokens behind the same {PREFIX}", same, SHARED),
            (f"{n // 2} pairs of 17-40 tokens that differ in the last 1-4", pairs, PAIRS),
        ):
            times = bench({"bare": bare(model, padded(model, given)), "ours": ours(model, given)}, 30)
            found, title = times.ratio("ours", "bare"), f"{size}: all resid_post, last position, {what}"
            report.held(title, found, bar)
    report.print(
        "Floor: model.hf(input_ids, attention_mask) under inference_mode, tokenized beforehand, 32 a batch; "
        "capture with batch_size=32, from texts to Activations."
    )


def check(model: HookedModel, given: list[str]) -> None:
    """Refuse to time what is wrong."""
    found = torch.stack(list(capture(model, given, batch_size=16).values()))
    worst = error(found, one_at_a_time(model, given))
    if worst > 1e-4:
        raise SystemExit(f"capture is wrong by {worst:.1e} in {model}: there is nothing to time")


def ours(model: HookedModel, given: list[str]) -> Run:
    return lambda: capture(model, given, batch_size=32)


def writing(models: dict[str, HookedModel], bench: Bench, threads: int, n: int, folder: Path) -> None:
    report = Report("capture into a store / into memory", threads)
    for size, model in models.items():
        many = 8 * n if size == "tiny" else n
        for position, number in (("last", many), ("all", many // 4)):
            given = texts(number, 17, 36)
            runs: dict[str, Run] = {
                "memory": lambda model=model, given=given, position=position: capture(
                    model, given, position=position, batch_size=32
                ),
                "store": lambda model=model, given=given, position=position: into(
                    folder / "store", model, given, position
                ),
            }
            times = bench(runs, 30)
            what = f"{size}: all resid_post, {position} position, {number} texts of 17-36 tokens"
            report.held(what, times.ratio("store", "memory"), WRITING)
    report.print("A ratio of 1.25 is 80 % of the speed. Everything goes through to the disk (fsync).")


def into(folder: Path, model: HookedModel, given: list[str], position: str) -> Activations:
    shutil.rmtree(folder, ignore_errors=True)
    return capture(model, given, position=position, batch_size=32, store=folder)


def figures(folder: Path, quick: bool, threads: int) -> None:
    table = Table(title="a store at rest, and memory while one is written")
    for name in ("what", "measured", "bar", "verdict"):
        table.add_column(name, justify="left" if name == "what" else "right")

    def row(what: str, found: float, unit: str, bar: float | None = None) -> None:
        verdict = VERDICTS[None if bar is None else found <= bar]
        table.add_row(what, f"{found:.1f} {unit}", "" if bar is None else f"{bar:g} {unit}", verdict)

    size = GIGABYTE // 16 if quick else GIGABYTE
    filled = fill(folder / "filled", size)
    what = f"a store of {size >> 20} MB, {N_LAYERS} sites, {filled} rows with labels"
    row(f"open {what}", milliseconds(lambda: Activations.open(folder / "filled")), "ms", OPENING)
    row("  and read the 10 middle rows of a site", milliseconds(lambda: middle(folder / "filled")), "ms")
    row("  and read its labels", milliseconds(lambda: Activations.open(folder / "filled").labels), "ms")
    row("  and check and map a whole site", milliseconds(lambda: whole(folder / "filled")), "ms")
    many = MANY // 10 if quick else MANY
    grown = (measured_peak(many, threads) - measured_peak(FEW, threads)) / 1024
    row(f"growth of the largest resident size from {FEW} to {many} examples", grown, "MB", FLAT)
    show(table)


def fitting(folder: Path, quick: bool, threads: int) -> None:
    """Fits over a store beside the same in memory: the time, and the memory of a process of their own."""
    size = fill(folder, (MANY // 10 if quick else MANY) * WIDTH * 4, sites=1) * WIDTH * 4
    opened = Activations.open(folder)
    (site,) = opened.sites
    inside = Activations({site: opened[site].clone()}, opened.labels)
    report = Report(f"fitting over a store of {opened.n_rows} rows of width {WIDTH} / in memory", threads)
    for extractor in (MeanDifference(), LinearDiscriminant()):
        runs: dict[str, Run] = {
            "store": lambda extractor=extractor: sweep(opened, extractor),
            "memory": lambda extractor=extractor: sweep(inside, extractor),
        }
        report.row(f"sweep, 5 folds, controls: {extractor}", Bench(quick)(runs, 20).ratio("store", "memory"))
    command = [sys.executable, __file__, "--fit", str(folder), "--threads", str(threads)]
    grown = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    report.print(
        f"Sweeps of both grow the largest resident size by {grown >> 20} MB; the site has {size >> 20} MB on "
        f"disk, and {size >> 19} MB in float64."
    )


def fitting_peak(folder: Path) -> int:
    """By how many bytes the largest resident size grows in sweeps over a store."""
    opened = Activations.open(folder)
    sweep(opened[:WIDTH], LinearDiscriminant(), folds=2)
    before = most_resident()
    for extractor in (MeanDifference(), LinearDiscriminant()):
        sweep(opened, extractor)
    return most_resident() - before


def fill(folder: Path, size: int, sites: int = N_LAYERS) -> int:
    """Write a store of so many bytes; how many rows it has."""
    rows = torch.randn(1024, WIDTH, generator=torch.Generator().manual_seed(0))
    acts = Activations({f"resid_post.{layer}": rows for layer in range(sites)})
    n = max(1, size // (sites * rows.numel() * rows.element_size()))
    settings = {"model_name": "none", "position": "last", "n_layers": N_LAYERS}
    with open_store(folder, settings, lambda: len(rows)) as store:
        for number in range(n):
            named = [f"text {number} {row}" for row in range(len(rows))]
            store.put(number, Examples(named, [row % 2 for row in range(len(rows))]), acts)
        store.finish(n * len(rows))
    return n * len(rows)


def milliseconds(run: Run, times: int = 21) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def middle(folder: Path) -> torch.Tensor:
    acts = Activations.open(folder)
    return acts[acts.n_rows // 2 : acts.n_rows // 2 + 10]["resid_post.5"].sum()


def whole(folder: Path) -> torch.Tensor:
    return Activations.open(folder)["resid_post.5"]


def measured_peak(n: int, threads: int) -> int:
    """The largest resident size, in KB, of a process that captures so many examples into a store."""
    command = [sys.executable, __file__, "--examples", str(n), "--threads", str(threads)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak(n: int) -> int:
    config = transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=2, vocab_size=VOCABULARY, bos_token_id=None, eos_token_id=None
    )
    model = load_model(transformers.GPT2LMHeadModel(config).eval(), tokenizer=tokenizer())
    with tempfile.TemporaryDirectory() as folder:
        capture(model, rows(n), store=folder)
    return most_resident() // 1024


def rows(n: int) -> Iterator[dict[str, object]]:
    drawn = random.Random(0)
    for number in range(n):
        words = (f"w{drawn.randrange(2, VOCABULARY)}" for _ in range(drawn.randint(8, 16)))
        yield {"text": " ".join(words), "label": number % 2, "group": number // 10}


if __name__ == "__main__":
    main()
