"""Graph convexity beside nnconvexity, its memory, and the table of digits: `python benchmarks/convexity.py`.

The first table compares CPU time at 5,000 rows of width 384 in 10 classes: ours over all pairs, or from 50
sources a class, and nnconvexity 0.1.1 over the 5,000 pairs a class that it samples. Where both see all pairs
(300 rows), their scores are compared. Then a process of its own measures 50,000 rows, and its peak memory.

The last tables are of scikit-learn's digits: the convexity of an MLP's layers before and after training, and
whether classes that are convex before eight examples each are learned are learned better.
"""

import argparse
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from _tables import VERDICTS, show
from _timing import Report, Times, arguments, measured, most_resident, parser
from rich.table import Table
from sklearn.datasets import load_digits
from torch import nn

from conceptscope.analyses import convexity, convexity_vs_performance
from conceptscope.hooks import Activations

N_CLASSES = 10
ALL_PAIRS, FIFTY_SOURCES = 1 / 20, 1 / 60
TABLE = {
    "init": (0.956, 0.962, 0.959, 0.949, 0.928),
    "trained": (0.956, 0.986, 0.982, 0.981, 0.978),
}
MARGIN = 0.01
"""How far from the table a mean over four seeds may be: widths and training were not written down."""


def classes_of_blobs(n: int, d: int, apart: float = 1.0) -> Activations:
    """Ten round classes whose regions meet."""
    rng = torch.Generator().manual_seed(0)
    codes = torch.arange(n) % N_CLASSES
    centres = torch.randn(N_CLASSES, d, generator=rng)
    x = torch.randn(n, d, generator=rng) + apart * centres[codes] / d**0.25
    return Activations({"resid_post.0": x}, codes.tolist())


def by_nnconvexity(acts: Activations, paths: int = 5000) -> list[float]:
    from nnconvexity.graph import compute_graph_convexity

    x = acts["resid_post.0"].double().numpy()
    _, found = compute_graph_convexity(x, np.array(acts.labels), max_n_paths=paths)
    return [found[code] / 100 for code in range(N_CLASSES)]


def ours(acts: Activations, sources: int | None = None) -> list[float]:
    found = convexity(acts, null=None, ci=None, sources_per_class=sources)
    return [one.score for one in found.sites[0].classes]


def speed(quick: bool) -> Times:
    acts = classes_of_blobs(1000 if quick else 5000, 384)
    times = Times({"nnconvexity": [], "all pairs": [], "50 sources": []})
    ours(acts, 2)
    for _ in range(1 if quick else 3):
        times.taken["all pairs"].append(measured(lambda: ours(acts))[0])
        times.taken["50 sources"].append(measured(lambda: ours(acts, 50))[0])
    once = measured(lambda: by_nnconvexity(acts))[0]
    times.taken["nnconvexity"] = [once] * len(times.taken["all pairs"])
    return times


def print_speed(threads: int, quick: bool) -> None:
    report = Report("5,000 rows, width 384: our time over nnconvexity's", threads)
    small = classes_of_blobs(300, 384)
    off = np.abs(np.subtract(ours(small), by_nnconvexity(small, 10**6))).max()
    times = speed(quick)
    for name, bar in (("all pairs", ALL_PAIRS), ("50 sources", FIFTY_SOURCES)):
        found = times.ratio(name, "nnconvexity")
        spent = np.median([cpu for _, cpu in times.taken[name]])
        what = f"{name}: {spent:.2f} CPU s, {1 / found.cpu:.0f} times less"
        report.row(what, found, f"{bar:.4f}", VERDICTS[found.cpu <= bar])
    report.print(
        f"The bar is of CPU time; nnconvexity took {times.taken['nnconvexity'][0][1]:.1f} s of it.",
        f"300 rows, all pairs: scores differ by {off:.1e} (nnconvexity rounds to 5e-5).",
    )


def print_memory(quick: bool) -> None:
    n = 5000 if quick else 50_000
    ran = subprocess.run(
        [sys.executable, __file__, "--peak", str(n)], capture_output=True, text=True, check=True
    )
    peak, seconds = map(float, ran.stdout.split())
    matrix = 4 * n * n
    table = Table("over the activations' own", "of an n x n matrix", "CPU time", title="Memory of convexity")
    table.add_row(f"{peak / 1e6:.0f} MB", f"{peak / matrix:.1%}", f"{seconds:.0f} s")
    show(table, f"{n} rows, width 384, 20 sources a class.")


def peak(n: int) -> None:
    ours(classes_of_blobs(500, 384), 2)
    acts = classes_of_blobs(n, 384)
    before = most_resident()
    (_, cpu), _ = measured(lambda: ours(acts, 20))
    print(most_resident() - before, cpu)


@dataclass(frozen=True)
class Digits:
    """Scaled images and their labels, in two parts."""

    train: tuple[torch.Tensor, torch.Tensor]
    test: tuple[torch.Tensor, torch.Tensor]

    @classmethod
    def split(cls, n_test: int = 900) -> "Digits":
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(labels))
        x, y = torch.from_numpy(images[order] / 16).float(), torch.from_numpy(labels[order])
        return cls((x[n_test:], y[n_test:]), (x[:n_test], y[:n_test]))


def mlp(seed: int, width: int = 128, n_layers: int = 4) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        widths = [64] + [width] * n_layers
        parts = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts, nn.Linear(width, N_CLASSES))


def train(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, seed: int, epochs: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=rng).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()


def layers(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> Activations:
    """The input and what comes after each ReLU."""
    found = {"embed": x}
    with torch.inference_mode():
        for part in model:
            x = part(x)
            if isinstance(part, nn.ReLU):
                found[f"resid_post.{len(found) - 1}"] = x
    return Activations(found, y.tolist())


def by_layer(seeds: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Of networks before and after training, the mean convexity of each layer, and chance."""
    found: dict[str, list[list[float]]] = {"init": [], "trained": []}
    chance = 0.0
    for seed in range(seeds):
        digits = Digits.split()
        model = mlp(seed)
        for when in found:
            if when == "trained":
                train(model, *digits.train, seed, epochs=40)
            sites = convexity(layers(model, *digits.test), ci=None).sites
            found[when].append([one.mean for one in sites])
            chance = float(np.mean([one.chance for one in sites]))
    for when, means in found.items():
        yield when, np.mean(means, 0), chance


def print_layers(seeds: int) -> None:
    table = Table(title=f"Digits, 900 held out, {seeds} seeds: convexity by layer")
    for heading in ("network", "0", "1", "2", "3", "4", "chance", ""):
        table.add_column(heading)
    for when, means, chance in by_layer(seeds):
        met = np.abs(means - TABLE[when]).max() <= MARGIN
        table.add_row(when, *(f"{m:.3f}" for m in means), f"{chance:.3f}", VERDICTS[bool(met)])
        table.add_row("a prototype", *(f"{m:.3f}" for m in TABLE[when]), ".112")
    show(table)


def few_shot(seed: int, shots: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Digits from 5 on: each one's convexity before and after eight examples of it, and its recall then."""
    digits = Digits.split()
    model = mlp(seed)
    low = digits.train[1] < 5
    train(model, digits.train[0][low], digits.train[1][low], seed, epochs=40)
    held = digits.test[1] >= 5
    x, y = digits.test[0][held], digits.test[1][held]
    before = last_layer(model, x, y)
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(digits.train[1]), generator=rng)
    chosen = torch.cat([order[digits.train[1][order] == digit][:shots] for digit in range(5, N_CLASSES)])
    train(model, digits.train[0][chosen], digits.train[1][chosen], seed, epochs=200)
    with torch.inference_mode():
        said = model(x).argmax(1)
    recall = np.array([float((said[y == digit] == digit).float().mean()) for digit in range(5, N_CLASSES)])
    return before, last_layer(model, x, y), recall


def last_layer(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    acts = layers(model, x, y)
    site = convexity(
        Activations({"resid_post.3": acts["resid_post.3"]}, y.tolist()), ci=None, null=None
    ).sites[0]
    return np.array([one.score for one in site.classes])


def print_few_shot(seeds: int) -> None:
    before, after, recall = (
        np.array(part) for part in zip(*(few_shot(s) for s in range(seeds)), strict=True)
    )
    clusters = np.repeat(np.arange(seeds), before.shape[1])
    found = convexity_vs_performance(before.ravel(), recall.ravel(), clusters=clusters)
    table = Table("", "found", "a prototype", title=f"Digits from 5 on, eight of each, {seeds} seeds")
    table.add_row("convexity of the last layer after the others", f"{before.mean():.3f}", ".475")
    table.add_row("the same after eight examples of each", f"{after.mean():.3f}", ".821")
    table.add_row("recall then", f"{recall.mean():.3f}")
    table.add_row(str(found), "", ".38 [.27, .51]")
    show(table)


def main() -> None:
    made = parser("Graph convexity beside nnconvexity, its memory, and digits.")
    made.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    made.add_argument("--digits", action="store_true", help="the tables of digits alone")
    given = arguments(made)
    if given.peak:
        peak(given.peak)
        return
    if not given.digits:
        print_speed(given.threads, given.quick)
        print_memory(given.quick)
    print_layers(1 if given.quick else 4)
    print_few_shot(2 if given.quick else 10)


if __name__ == "__main__":
    main()
