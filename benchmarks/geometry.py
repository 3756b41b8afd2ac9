"""Shapes of numbers: `python benchmarks/geometry.py [--part helix]`.

Planted: numbers 0 to 99 in 512 dimensions, a line and circles of equal variance and noise; which periods the
greedy choice finds, of five seeds. TinyWorld: the verdict at each site, for the numbers in five texts and for
those that sums begin with, and the share of sums that moving the first number turns.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from _tables import show
from rich.table import Table

from conceptscope._numbers_command import TINYWORLD
from conceptscope.analyses import check_helix_shift, fit_number_helix, number_examples, select_periods
from conceptscope.hooks import Activations, capture, load_model

NUMBERS = np.arange(100)
PLANTED = ((2.0, 5.0, 10.0, 100.0), (7.0,), ())
NOISES = (0.01, 0.05, 0.1)
SEEDS = 5


def planted(periods: Sequence[float], noise: float, seed: int) -> Activations:
    """A line and circles of variance 1 in each direction, and noise in all 512."""
    rng = np.random.default_rng(seed)
    parts = [(NUMBERS - 49.5) / NUMBERS.std()]
    for period in periods:
        turned = 2 * np.pi * NUMBERS / period
        parts += [np.cos(turned)] if period == 2 else [2**0.5 * np.cos(turned), 2**0.5 * np.sin(turned)]
    axes = np.linalg.qr(rng.normal(size=(512, len(parts))))[0]
    x = np.stack(parts, 1) @ axes.T + noise * rng.normal(size=(100, 512))
    return Activations({"embed": torch.from_numpy(x)}, NUMBERS.tolist())


def planted_table() -> Table:
    table = Table(title=f"Planted periods that are found exactly, of {SEEDS} seeds")
    for heading in ("planted", *(f"noise {noise:g}" for noise in NOISES)):
        table.add_column(heading)
    for periods in PLANTED:
        counts = [
            sum(
                select_periods(planted(periods, noise, seed), generator=seed) == periods
                for seed in range(SEEDS)
            )
            for noise in NOISES
        ]
        shown = ", ".join(f"{period:g}" for period in periods) or "none"
        table.add_row(shown, *(f"{count} of {SEEDS}" for count in counts))
    return table


def tinyworld_table() -> Table:
    table = Table(title="TinyWorld's numbers 0 to 99: R2 of held-out numbers")
    names = ("line", "polynomial", "helix", "pca", "shuffled")
    ways = ("means", "helix", "polynomial", "line")
    for heading in ("texts", "site", "shape", *names, "readout", *(f"moved: {way}" for way in ways)):
        table.add_column(heading)
    model = load_model("tinyworld")
    for about, texts in (("five", TINYWORLD), ("first of a sum", TINYWORLD[:1])):
        acts = capture(
            model, number_examples(texts, NUMBERS.tolist()), ["embed", "resid_post"], position="span"
        )
        for site in acts.sites:
            found = fit_number_helix(acts, site=site)
            moved = check_helix_shift(model, found).to_frame().moved
            scores = [found[name].cv_r2 for name in names] + [found.readout, *moved[list(ways)]]
            table.add_row(about, str(site), found.shape.name, *(f"{score:.2f}" for score in scores))
    return table


PARTS = {"helix": (planted_table, tinyworld_table)}


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--part", choices=PARTS, help="one part (default: all)")
    part = made.parse_args().part
    torch.set_num_threads(1)
    for name in [part] if part else PARTS:
        for table in PARTS[name]:
            show(table())


if __name__ == "__main__":
    main()
