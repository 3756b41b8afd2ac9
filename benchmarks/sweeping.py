"""What a sweep of logistic probes costs beside a loop of scikit-learn fits: `python benchmarks/sweeping.py`.

Both get the same float32 activations, folds and penalty: 5 folds and the fit on all rows, at every layer.
Ours is `sweep` itself, with its intervals, and for a path of strengths the solver beneath it; scikit-learn's
is LogisticRegression as it comes (lbfgs) and, where features are few, with the solver "newton-cholesky".
A round is a layer, twelve at most: all in turn, each layer in the opposite order to the last. Coefficients
are compared with newton-cholesky's at a tolerance of 1e-10, on all rows of the first layer.
"""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from _timing import Report, Run, Times, arguments, measured, most_resident, parser
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from conceptscope.hooks import Activations
from conceptscope.probes import Logistic, MeanDifference, sweep
from conceptscope.probes._fits import Problems
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._logistic_path import LogisticPath

PATH = (1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""At C = 100 scikit-learn's lbfgs stops before the optimum on these data, and held-out accuracies differ."""
FOLDS, LAYERS = 5, 12


@dataclass(frozen=True)
class Size:
    """Activations whose variances fall by a power law; `massive` times as wide along one more direction."""

    layers: int
    d: int
    examples: int
    massive: float = 1.0

    def layer(self, number: int) -> Activations:
        rng = torch.Generator().manual_seed(number)
        spread = torch.arange(1, self.d + 1).float() ** -0.7
        turn = torch.linalg.qr(torch.randn(self.d, self.d, generator=rng))[0]
        x = torch.randn(self.examples, self.d, generator=rng) * spread
        x[:, 0] *= self.massive
        codes = torch.arange(self.examples) % 2
        way = torch.randn(self.d, generator=rng) * spread.sqrt()
        x += 0.15 * (2 * codes[:, None] - 1) * way / way.norm() * spread.norm() / self.d**0.25
        at = torch.randn(self.d, generator=rng)
        return Activations({f"resid_post.{number}": x @ turn.T + at}, codes.tolist())


def by_scikit_learn(
    acts: Activations, fold: np.ndarray, C: float, solver: str = "lbfgs", *, refit: bool = True
) -> np.ndarray:
    """The predictions of held-out rows."""
    (site,) = acts.sites
    x, y = acts.at(site).numpy(), np.asarray(acts.labels)
    predicted = np.empty(len(y), dtype=np.int64)
    for held in [*range(FOLDS), *([FOLDS] if refit else [])]:
        train = fold != held
        centre = x[train].mean(0)
        unit = np.sqrt(x[train].var(0).mean())
        model = LogisticRegression(C=C, solver=solver, max_iter=10_000)
        model.fit((x[train] - centre) / unit, y[train])
        if held < FOLDS:
            predicted[~train] = model.predict((x[~train] - centre) / unit)
    return predicted


def by_path(acts: Activations, fold: np.ndarray) -> np.ndarray:
    """The predictions of held-out rows, [strength, example]."""
    data = Labelled.of(acts, None)
    train = torch.from_numpy(fold) != torch.arange(FOLDS)[:, None]
    problems = Problems(train.repeat(len(PATH), 1), data.codes.expand(len(PATH) * FOLDS, -1))
    strengths = torch.tensor(PATH, dtype=torch.float64).repeat_interleave(FOLDS)
    logits = LogisticPath.of(data, 1000).logits(problems, strengths)[..., 0].unflatten(0, (-1, FOLDS))
    own = logits[:, torch.from_numpy(fold), torch.arange(len(fold))]
    return (own > 0).long().numpy()


def one_strength(acts: Activations, solver: str) -> dict[str, Run]:
    fold = sweep(acts, MeanDifference(), controls=False).held_out.fold
    (site,) = acts.sites
    return {
        "ours": lambda: sweep(acts, Logistic(), folds=FOLDS, controls=False).held_out.predicted(site),
        "scikit-learn": lambda: by_scikit_learn(acts, fold, 1.0, solver),
    }


def path(acts: Activations) -> dict[str, Run]:
    fold = np.arange(acts.n_rows) // 2 % FOLDS
    return {
        "ours": lambda: by_path(acts, fold),
        "scikit-learn": lambda: np.stack([by_scikit_learn(acts, fold, C, refit=False) for C in PATH]),
    }


def in_turn(
    size: Size, candidates: Callable[[Activations], dict[str, Run]], layers: int
) -> tuple[Times, float]:
    """The times of both, layer by layer, and the largest difference between their held-out accuracies."""
    times, off = Times({"ours": [], "scikit-learn": []}), 0.0
    for number in range(layers):
        acts = size.layer(number)
        runs, right = candidates(acts), {}
        for name in list(runs)[:: 1 if number % 2 else -1]:
            taken, predicted = measured(runs[name])
            times.taken[name].append(taken)
            right[name] = (predicted == np.asarray(acts.labels)).mean(-1)
        off = max(off, float(np.abs(right["ours"] - right["scikit-learn"]).max()))
    return times, off


def coefficients_off(size: Size, C: float = 1.0) -> float:
    """How far our coefficients are from the optimum, relative to their length."""
    acts = size.layer(0)
    (site,) = acts.sites
    x = acts.at(site).double().numpy()
    unit = np.sqrt(x.var(0).mean())
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10)
    true = model.fit((x - x.mean(0)) / unit, acts.labels).coef_[0] / unit
    found = Logistic(C=C).fit(acts).reading[0].double().numpy()
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def peak_memory() -> float:
    """Peak memory of a sweep over all layers, its activations included, over that of the activations."""
    ran = subprocess.run([sys.executable, __file__, "--peak"], capture_output=True, text=True, check=True)
    return float(ran.stdout)


def print_peak(size: Size) -> None:
    import resource

    def now() -> int:
        return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

    torch.set_num_threads(2)
    small = Size(1, 64, 200).layer(0)
    sweep(small, Logistic(), controls=False)
    before = now()
    base = torch.randn(size.examples, size.d)
    labels = (torch.arange(size.examples) % 2).tolist()
    base[:, 0] += torch.tensor(labels)
    acts = Activations({f"resid_post.{i}": base.roll(i, 1) for i in range(size.layers)}, labels)
    sweep(acts, Logistic(), controls=False)
    print((most_resident() - before) / (4 * size.layers * size.examples * size.d))


def main() -> None:
    made = parser("A sweep of logistic probes beside a loop of scikit-learn fits.")
    made.add_argument("--peak", action="store_true", help="print the peak memory alone")
    given = arguments(made)
    small, large = Size(12, 768, 1000), Size(32, 4096, 2000)
    if given.peak:
        print_peak(large)
        return
    warnings.simplefilter("error", ConvergenceWarning)
    memory = peak_memory()
    report = Report(
        "Logistic probes, 5 folds: our time over that of a loop of scikit-learn fits",
        given.threads,
        ("bar", "verdict", "accuracy off by", "coefficients off by"),
    )

    def row(size: Size, what: str, candidates: Callable[[Activations], dict[str, Run]], bar: float) -> None:
        times, off = in_turn(size, candidates, 1 if given.quick else min(size.layers, LAYERS))
        about = f"{size.layers} x {size.d}, {size.examples} examples: {what}"
        far = f"{coefficients_off(size):.1e}"
        report.held(about, times.ratio("ours", "scikit-learn"), bar, f"{off:.4f}", far)

    row(small, "C = 1", lambda acts: one_strength(acts, "lbfgs"), 0.125)
    row(small, "beside newton-cholesky", lambda acts: one_strength(acts, "newton-cholesky"), 0.125)
    row(small, f"{len(PATH)} strengths", path, 0.10)
    massive = replace(small, massive=30.0)
    row(massive, "one massive direction", lambda acts: one_strength(acts, "lbfgs"), 0.125)
    row(large, "C = 1", lambda acts: one_strength(acts, "lbfgs"), 0.125)
    report.print(f"peak memory of the large sweep: {memory:.2f} times the activations (bar 2.5)")


if __name__ == "__main__":
    main()
