"""How well affine concepts are recovered, beside controls: `python benchmarks/recovery.py [--quick]`."""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from _tables import VERDICTS, show
from rich.table import Table

from conceptscope.analyses import ConceptRecovery, concept_recovery, identifiability
from conceptscope.hooks import Activations
from conceptscope.probes import AffineContrastive, LinearDiscriminant, MeanDifference, project
from conceptscope.worlds import affine

SIZES = ((3, 4, 2), (8, 10, 4))
MIXINGS: tuple[affine.Mixing, ...] = ("linear", "nonlinear")


@dataclass(frozen=True)
class Row:
    """What a table shows in a row, and whether it is as wanted."""

    cells: Sequence[str]
    wanted: str = ""
    met: bool = True


def recovered(data: affine.AffineData, mixing: affine.Mixing) -> ConceptRecovery:
    acts = Activations({"resid_post.0": data.x}, data.labels)
    encoder = "linear" if mixing == "linear" else "mlp"
    concept = AffineContrastive(encoder, data.targets).fit(acts)
    return concept_recovery(concept, data.valuations, inputs=acts)


def scores(make: Callable[..., affine.AffineData], mixing: affine.Mixing, seeds: int) -> np.ndarray:
    """Means over seeds: a row each for the learner, a random encoder and PCA, of R2 and MCC."""
    found = [recovered(make(generator=seed), mixing) for seed in range(seeds)]
    return np.mean([[[s.r2, s.mcc] for s in (one.estimated, one.random, one.pca)] for one in found], axis=0)


def shown(found: np.ndarray) -> list[str]:
    return [f"{r2:.3f} / {mcc:.3f}" for r2, mcc in found]


def isotropic(seeds: int) -> Iterator[Row]:
    for size in SIZES:
        found = scores(partial(affine.isotropic, *size, "linear"), "linear", seeds)
        yield Row([f"linear {size}", *shown(found)], "MCC >= .99", found[0, 1] >= 0.99)
    nonlinear = []
    for size in SIZES:
        nonlinear.append(scores(partial(affine.isotropic, *size, "nonlinear"), "nonlinear", seeds))
        yield Row([f"nonlinear {size}", *shown(nonlinear[-1])])
    found = np.mean(nonlinear, axis=0)
    met = found[0, 1] >= 0.88 and found[0, 1] - found[1, 1] >= 0.4
    yield Row(["nonlinear, mean", *shown(found)], "MCC >= .88, .4 above random", met)
    for mixing, size in itertools.product(MIXINGS, SIZES):
        found = scores(partial(affine.isotropic, *size, mixing, variance=math.inf), mixing, seeds)
        yield Row([f"{mixing} {size}, environments like the base", *shown(found)])


def authors(seeds: int) -> Iterator[Row]:
    every = []
    for mixing, number in itertools.product(MIXINGS, (1, 2, 3)):
        every.append(scores(partial(affine.authors_setting, number, mixing), mixing, seeds))
        yield Row([f"setting {number}, {mixing}", *shown(every[-1])])
    found = np.mean(every, axis=0)
    yield Row(["mean", *shown(found)], "R2 >= .92, MCC >= .85", found[0, 0] >= 0.92 and found[0, 1] >= 0.85)


def directions(seeds: int) -> Iterator[Row]:
    for condition in (1.0, 10.0, 100.0):
        cosines = np.mean(
            [cosines_of(affine.correlated(32, condition, generator=seed)) for seed in range(seeds)], 0
        )
        met = bool(cosines[0] >= 0.99 and cosines[2] >= 0.99)
        yield Row(
            [f"{condition:.0f}", *(f"{cosine:.3f}" for cosine in cosines)], "first and third >= .99", met
        )


def cosines_of(data: affine.AffineData) -> list[float]:
    acts = Activations({"resid_post.0": data.x}, data.labels)
    inside = acts[[row for row, label in enumerate(data.labels) if label != "base"]]
    base = data.x[[label == "base" for label in data.labels]]
    reading, steering = data.atoms, data.atoms @ base.T.cov()
    learned = AffineContrastive(targets=data.targets).fit(acts)
    difference, discriminant = MeanDifference().fit(inside), LinearDiscriminant().fit(inside)
    return [
        abs(cosine)
        for cosine in (
            learned.cosine(reading),
            learned.cosine(steering, of="steering"),
            difference.cosine(steering),
            difference.cosine(reading),
            discriminant.cosine(reading),
        )
    ]


def reports(seeds: int) -> Iterator[Row]:
    settings = [affine.authors_setting(number, per_environment=1) for number in (1, 2, 3)]
    cases = [(f"setting {n}", list(data.environments.values()), False) for n, data in enumerate(settings, 1)]
    cases.append(("{1}, {2}, {1, 2}", [{1: 1.0}, {2: 1.0}, {1: -1.0, 2: -1.0}], True))
    cases += [(f"2n, n = {n}", [{k: b} for k in range(n) for b in (1.0, -1.0)], True) for n in (2, 4)]
    for name, environments, wanted in cases:
        report = identifiability(environments, variance=0.25)
        missing = ", ".join(map(str, report.missing)) or "-"
        cells = [name, f"{report.rank}, {report.null_dimension}", str(report.identifiable), missing]
        yield Row(cells, str(wanted), report.identifiable == wanted)
    rng = torch.Generator().manual_seed(0)
    x, reading, cov = (torch.randn(shape, generator=rng) for shape in ((1000, 64), (4, 64), (64, 64)))
    b = torch.randn(1000, 4, generator=rng)
    error = max(float((project(x, reading, b, s) @ reading.T - b).abs().max()) for s in (None, cov @ cov.T))
    yield Row(["project(): greatest |A z' - b|", "", f"{error:.1e}", ""], "<= 1e-5", error <= 1e-5)


SCORES = ("R2 / MCC", "random encoder", "PCA")
TABLES: dict[str, tuple[Sequence[str], Callable[[int], Iterator[Row]]]] = {
    "1. Isotropic latents, environments that determine the concepts": (
        ("mixing (latents, width, concepts)", *SCORES),
        isotropic,
    ),
    "2. The authors' settings, whose environments do not": (("setting", *SCORES), authors),
    "3. Cosines to the concept a and to S a (Gaussian, d = 32)": (
        ("condition", "reading, a", "steering, S a", "mean diff., S a", "mean diff., a", "LDA, a"),
        directions,
    ),
    "5. Identifiability reports, and projection": (
        ("environments", "rank, null dim.", "identifiable", "missing"),
        reports,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one seed")
    given = parser.parse_args()
    for title, (columns, rows) in TABLES.items():
        start = time.perf_counter()
        table = Table(*columns, "wanted", "", title=title)
        for row in rows(1 if given.quick else given.seeds):
            table.add_row(*row.cells, row.wanted, VERDICTS[row.met])
        show(table, f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
