"""Domain knowledge in small models: `python benchmarks/nuclei.py [--quick] [--seeds 3] [--workers 2]`.

Measured binding energies and the semi-empirical formula; which formulas come back from their own values;
models of binding energies, beside shuffled ones and models of several tasks; addition modulo 31. A row says
what came out and the bar. --quick trains for a tenth of the steps, which shows that it
runs and no more.
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from _tables import VERDICTS, show
from joblib import Parallel, delayed
from rich.table import Table

from conceptscope.analyses import (
    helix_diagnostics,
    latent_topography,
    match_terms,
    readout_contributions,
    sparse_formula,
)
from conceptscope.hooks import Activations
from conceptscope.worlds import modular, nuclei

SHIFT = 7
PAIRING_COMPONENTS = 20
PERIODS = {"n": (30, 40), "z": (19, 25)}
Row = tuple[str, str, str, bool | None]


def binding_rows(data: nuclei.Nuclides) -> list[Row]:
    known = nuclei.nuclides(above=-1)
    rows = []
    for name, z, n, bar in (
        ("He-4", 2, 2, 7.07392),
        ("Fe-56", 26, 30, 8.79036),
        ("Ni-62", 28, 34, 8.79455),
        ("Pb-208", 82, 126, 7.86745),
    ):
        found = float(known.binding[known.index(z, n)]) / (z + n)
        rows.append((f"{name}, MeV per nucleon", f"{found:.5f}", f"{bar}", abs(found - bar) < 1e-5))
    rms = nuclei.fit_mass_formula(data).rms
    rows.append(("refit of the formula, rms in MeV", f"{rms:.3f}", "3.0 to 3.15", 3.0 <= rms <= 3.15))
    return rows


def formula_rows(data: nuclei.Nuclides) -> list[Row]:
    library = nuclei.terms(data.z, data.n)
    own = nuclei.fit_mass_formula(data).binding(data.z, data.n)
    begun = time.process_time()
    exact = sparse_formula(library, own)
    spent = time.process_time() - begun
    pursued, measured = sparse_formula(library, own, method="omp"), sparse_formula(library, data.binding)
    right = exact.terms == nuclei.SEMI_EMPIRICAL
    return [
        (
            "formula from its own values, 13 terms",
            f"{len(exact.terms)} terms, rms {exact.rms:.1e}",
            "exact",
            right,
        ),
        ("CPU seconds", f"{spent:.2f}", "< 1", spent < 1),
        ("noise it survives, MeV", f"{exact.survives:.1f}", "", None),
        (
            "by pursuit, 5 terms, rms in MeV",
            f"{pursued.of_size(5).rms:.2f}",
            "not exact",
            pursued.of_size(5).rms > 1,
        ),
        ("best 5 terms of measured energies, rms", f"{measured.of_size(5).rms:.2f}", "", None),
        ("those terms", ", ".join(measured.of_size(5).terms), "", None),
    ]


def trained(
    data: nuclei.Nuclides, tasks: Sequence[str], seed: int, quick: bool, shuffled: bool = False
) -> nuclei.NuclearRun:
    torch.set_num_threads(1)
    recipe = nuclei.Recipe()
    if quick:
        recipe = dataclasses.replace(recipe, steps=recipe.steps // 10)
    return nuclei.train(data, tasks, recipe, shuffled=shuffled, generator=seed)


def pairing_r2(run: nuclei.NuclearRun) -> float:
    """How much of the pairing term a linear map reads off the first components of the hidden state."""
    with torch.inference_mode():
        hidden = run.model.hidden(run.data.z, run.data.n).double()
    scores = torch.linalg.svd(hidden - hidden.mean(0), full_matrices=False).U[:, :PAIRING_COMPONENTS]
    wanted = nuclei.terms(run.data.z, run.data.n)["pairing"]
    wanted = wanted - wanted.mean()
    return float((scores.T @ wanted).square().sum() / wanted.square().sum())


def path_rows(run: nuclei.NuclearRun, which: str) -> list[Row]:
    """Whether the embeddings of numbers turn, on their first three components."""
    rows: list[Row] = []
    for name, (low, high) in PERIODS.items():
        numbers, table = run.embedding(name)
        found = helix_diagnostics(Activations({"embed": table}), numbers.tolist(), pca=3)
        inside = low <= found.best_period <= high
        rows += [
            (f"{which}, period of {name.upper()}", f"{found.best_period:g}", f"{low} to {high}", inside),
            (
                f"{which}, {name.upper()}: gain over a line, its null",
                f"{found.r2_gain:.3f}, {found.null:.3f}",
                "above",
                found.r2_gain > found.null,
            ),
            (f"{which}, {name.upper()}: circularity", f"{found.circularity:.2f}", "", None),
        ]
    return rows


def map_rows(run: nuclei.NuclearRun, seed: int) -> list[Row]:
    """How much of the energies of one element is left on few directions of the neutrons' embeddings."""
    numbers, table = run.embedding("n")
    mean = table.mean(0)
    along = torch.linalg.svd(table - mean, full_matrices=False).Vh
    tin = run.model.embedding("z")[50]
    isotopes = table[torch.isin(numbers, run.data.n[run.data.z == 50])]
    energy = lambda x: run.model.from_embeddings(tin.expand(len(x), -1), x)  # noqa: E731
    kept = {
        count: latent_topography(energy, mean, along[:count], data=isotopes, grid=2).agreement
        for count in (2, 4)
    }
    rows: list[Row] = [
        (f"seed {seed}, tin over {count} directions of N: R2", f"{found:.3f}", "", None)
        for count, found in kept.items()
    ]
    return rows


def readout_rows(run: nuclei.NuclearRun, seed: int) -> list[Row]:
    """What the first components contribute to binding energies, and which terms they follow."""
    with torch.inference_mode():
        hidden = run.model.hidden(run.data.z, run.data.n)
    weights, bias = run.model.readout()
    parts = readout_contributions(hidden, weights, bias, y=run.data.binding, components=5)
    terms = {name: v for name, v in nuclei.terms(run.data.z, run.data.n).items() if name != "constant"}
    found = match_terms(parts.contributions, terms, groups=run.data.a.tolist())
    rows: list[Row] = []
    for component in range(2):
        best = found.best(component)
        plain = [one.plain for one in found.matches if one.component == component]
        rows.append(
            (
                f"seed {seed}, component {component}: the term, partial r",
                f"{best.term}, {best.partial:.2f} [{best.low:.2f}, {best.high:.2f}]",
                f"{sum(abs(r) > 0.9 for r in plain)} plain r above .9",
                None,
            )
        )
    return rows


def model_rows(data: nuclei.Nuclides, seeds: int, workers: int, quick: bool) -> list[Row]:
    everything = tuple(nuclei.TASKS)
    jobs = [(("binding",), seed, quick) for seed in range(seeds)]
    jobs += [(everything, seed, quick) for seed in range(seeds)]
    jobs += [(("binding",), seed, quick, True) for seed in range(seeds)]
    runs = Parallel(workers)(delayed(trained)(data, *job) for job in jobs)
    single, several, shuffled = (runs[at * seeds : (at + 1) * seeds] for at in range(3))
    rows: list[Row] = []
    for seed in range(seeds):
        rms, held = single[seed].rms(), single[seed].rms(held_out=True)
        rows.append((f"seed {seed}, rms of training, MeV", f"{rms:.2f}", "< .5", rms < 0.5))
        rows.append((f"seed {seed}, rms of nuclides held out", f"{held:.2f}", "", None))
        rows += path_rows(single[seed], f"seed {seed}")
        rows += path_rows(several[seed], f"seed {seed}, all tasks")
        rows += map_rows(single[seed], seed) + readout_rows(single[seed], seed)
        alone, together = pairing_r2(single[seed]), pairing_r2(several[seed])
        rows.append(
            (f"seed {seed}, pairing from 20 components, one task", f"{alone:.3f}", "<= .1", alone <= 0.1)
        )
        rows.append((f"seed {seed}, pairing, all tasks", f"{together:.3f}", ">= .7", together >= 0.7))
        left = shuffled[seed].predictions() - data.binding
        r2 = 1 - float(left[~shuffled[seed].trained].var() / data.binding.var())
        rows.append((f"seed {seed}, shuffled energies: held-out R2", f"{r2:.3f}", "< .1", r2 < 0.1))
    return rows


def modular_rows(seeds: int, workers: int, quick: bool) -> list[Row]:
    steps = 400 if quick else 4000
    runs = Parallel(workers)(delayed(added)(seed, steps) for seed in range(seeds))
    return [row for seed, run in enumerate(runs) for row in sums_rows(run, seed)]


def added(seed: int, steps: int) -> modular.ModularRun:
    torch.set_num_threads(1)
    return modular.train(steps=steps, generator=seed)


def sums_rows(run: modular.ModularRun, seed: int) -> list[Row]:
    table = run.model.embedding
    powers = modular.powers(table)
    three = (powers.topk(3).indices + 1).tolist()
    held = float(powers.topk(3).values.sum())
    turned = run.answers(modular.rotated(table, SHIFT, three))
    moved = float((turned == (run.sums + SHIFT) % run.model.p).double().mean())
    mean = table.mean(0)
    along = torch.linalg.svd(table - mean, full_matrices=False).Vh
    rows: list[Row] = [
        (f"seed {seed}, sums held out: accuracy", f"{run.accuracy:.3f}", "1.000", run.accuracy == 1),
        (f"seed {seed}, power of three frequencies", f"{held:.2f}", ".91", held >= 0.9),
        (f"seed {seed}, circles turned by {SHIFT}: the answer too", f"{moved:.3f}", ">= .99", moved >= 0.99),
    ]
    for count, bar in ((2, "< .5"), (4, "1.000")):
        flat = mean + (table - mean) @ along[:count].T @ along[:count]
        right = float((run.answers(flat, flat) == run.sums).double().mean())
        agreement = np.mean(
            [
                latent_topography(sum_with(run, b), mean, along[:count], data=table, grid=2).agreement
                for b in range(run.model.p)
            ]
        )
        rows.append(
            (
                f"seed {seed}, {count} components: accuracy, agreement of the maps",
                f"{right:.3f}, {agreement:.3f}",
                bar,
                right < 0.5 if count == 2 else right > 0.995,
            )
        )
    return rows


def sum_with(run: modular.ModularRun, b: int) -> Callable[[torch.Tensor], torch.Tensor]:
    other = run.model.embedding[b]
    return lambda a: run.model.from_embeddings(a, other.expand(len(a), -1)).argmax(1)


def shown(title: str, rows: Sequence[Row]) -> Table:
    table = Table("", "found", "bar", "", title=title)
    for name, found, bar, met in rows:
        table.add_row(name, found, bar, VERDICTS[met])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    data = nuclei.nuclides()
    show(shown(f"{len(data)} measured nuclides with N, Z > 8", binding_rows(data)))
    show(shown("Formulas", formula_rows(data)))
    show(shown("Addition modulo 31", modular_rows(given.seeds, given.workers, given.quick)))
    show(shown("Binding energies", model_rows(data, given.seeds, given.workers, given.quick)))


if __name__ == "__main__":
    main()
