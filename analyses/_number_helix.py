"""The verb: are numbers on a line, a curve or a helix of what the model computes?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from conceptscope.analyses._helix_basis import Basis
from conceptscope.analyses._helix_circle import circularity
from conceptscope.analyses._helix_fit import BasisScore, FittedBasis, HeldOut, scored
from conceptscope.analyses._helix_folds import (
    fewest_trained,
    held_out_components,
    held_out_residuals,
    number_folds,
    squares,
)
from conceptscope.analyses._helix_null import wave_gains
from conceptscope.analyses._helix_numbers import NumberMeans, check_whole
from conceptscope.analyses._helix_result import NumberHelix
from conceptscope.analyses._helix_verdict import Clock
from conceptscope.hooks import Activations, Site
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes._least_squares import ridge_readings

_NULL_DRAWS = 100


def fit_number_helix(
    activations: Activations,
    numbers: Any = None,
    *,
    site: Site | str | None = None,
    periods: Sequence[float] = (2, 5, 10, 100),
    linear: bool = True,
    pca: int = 100,
    folds: int = 10,
    shuffles: int = 99,
    generator: int | torch.Generator = 0,
) -> NumberHelix:
    """Fit a helix to the activations of numbers, beside a line, a polynomial, PCA and shuffled numbers.

    The rows of a number are averaged, the means brought to their principal components, and these fitted by
    least squares with B(a) = 1, a, and cos and sin of 2 pi a / T for each period T; without waves that
    vanish on all the numbers, as the sine of 2 does. Numbers, not prompts, are held out in the folds.

    numbers: whole, one for each row; by default the labels. site: may be left out when only one was captured.
    periods: at most as long as the numbers reach (100 for 0 to 99), at least two of their steps.
    linear: with the line; False fits circles alone. pca: components at most. shuffles: of the numbers, for p.

    R2 alone misleads: a bent path is fitted by long waves. `verdict` says what is left after the controls.
    Standard errors are over numbers, to first order, and p-values take the path of numbers as one.

    Raises:
        KeyError: the site was not captured.
        TypeError: numbers that are not whole.
        ValueError: fewer than four numbers, fewer than folds, or too few for the coefficients; periods beyond
            their range, given twice, or that cannot be told apart; activations that are NaN, infinite, or
            the same for every number.

    Source: arXiv 2502.00873 (basis and controls), 2405.17425 (helix); clocks, nulls and verdict are this
    project's.

    >>> import conceptscope as cs
    >>> import torch
    >>> a = torch.arange(60.0)
    >>> wheel = torch.stack([(torch.pi * a / 6).cos(), (torch.pi * a / 6).sin(), a / 30], 1)
    >>> found = cs.fit_number_helix(cs.Activations({"embed": wheel}, a.int().tolist()), periods=[12])
    >>> found.shape.name, round(found["helix"].cv_r2, 6)
    ('helix', 1.0)
    """
    check_whole("shuffles", shuffles, 1)
    source = torch_generator(generator)
    state, rng = source.get_state(), numpy_generator(source)
    means = NumberMeans.of(activations, numbers, site, pca)
    wanted = means.checked_periods(periods)
    if not wanted and not linear:
        raise ValueError("without periods and without the line there is nothing to fit: give periods=")
    held_out = HeldOut.of(means, number_folds(len(means.numbers), folds, rng))
    bases = _bases(means, wanted, linear)
    _check_enough(bases["helix"], held_out, folds)
    k = bases["helix"].size
    scores = [scored(name, held_out, basis) for name, basis in bases.items()]
    shuffled, p = _shuffled(held_out, bases, shuffles, rng)
    clocks, beyond = _clocks(held_out, wanted, bases, rng)
    return NumberHelix(
        site=means.site,
        numbers=tuple(means.numbers.tolist()),
        n_rows=int(means.rows.sum()),
        periods=wanted,
        linear=linear,
        scores=(*scores, _components(held_out, k - 1), shuffled),
        clocks=clocks,
        beyond=beyond,
        p=p,
        readout=_readout(held_out),
        kept=means.kept,
        between=means.between,
        mean=torch.from_numpy(means.mean),
        fitted={name: FittedBasis.of(means, basis) for name, basis in bases.items()},
        coordinates=means.coordinates,
        directions=means.directions,
        settings={"pca": pca, "folds": folds, "shuffles": shuffles},
        source=means.source,
        generator_state=state,
    )


def _bases(means: NumberMeans, periods: tuple[float, ...], linear: bool) -> dict[str, Basis]:
    helix = Basis.of(means, int(linear), periods)
    circles = {"circles": Basis.of(means, 0, periods)} if linear and helix.waves else {}
    controls = {"line": Basis.of(means, 1), "polynomial": Basis.of(means, max(helix.size - 1, 1))}
    return {"helix": helix} | circles | controls


def _check_enough(helix: Basis, held_out: HeldOut, folds: int) -> None:
    n, left = len(held_out.fold), fewest_trained(held_out.fold)
    if left < helix.size:
        raise ValueError(
            f"{n} numbers, {left} with one of {folds} folds held out, are too few for {helix.size} "
            "coefficients: give more numbers, more folds or fewer periods"
        )


def _components(held_out: HeldOut, k: int) -> BasisScore:
    """The first k principal components, which no basis with k coefficients beside the mean can beat."""
    y = held_out.means.coordinates
    errors = squares(held_out_components(y, held_out.fold, k))
    r2 = float(np.square(y[:, :k]).sum() / np.square(y).sum())
    return BasisScore("pca", k + 1, r2, held_out.r2(errors), held_out.error_of(errors))


def _shuffled(
    held_out: HeldOut, bases: dict[str, Basis], shuffles: int, rng: np.random.Generator
) -> tuple[BasisScore, float]:
    """The helix on shuffled numbers, and the share of shuffles where the best basis does as well as here."""
    means = held_out.means
    n, r = means.coordinates.shape
    order = np.stack([rng.permutation(n) for _ in range(shuffles)])
    y = np.concatenate([means.coordinates, means.coordinates[order].transpose(1, 0, 2).reshape(n, -1)], 1)

    def squares_of(left: Float[np.ndarray, "number column"]) -> Float[np.ndarray, " version"]:
        found: Float[np.ndarray, " version"] = np.square(left).sum(0).reshape(-1, r).sum(1)
        return found

    wholes = squares_of(held_out_residuals(np.ones((n, 1)), y, held_out.fold))
    cv = {
        name: 1 - squares_of(held_out_residuals(basis.columns(means.numbers), y, held_out.fold)) / wholes
        for name, basis in bases.items()
    }
    q = np.linalg.qr(bases["helix"].columns(means.numbers))[0]
    left = squares_of(y - q @ (q.T @ y))[1:]
    best = np.stack(list(cv.values())).max(0)
    p = float((1 + (best[1:] >= best[0]).sum()) / (1 + shuffles))
    own = cv["helix"][1:]
    spread = float(own.std(ddof=1)) if shuffles > 1 else math.nan
    r2 = float(1 - left.mean() / np.square(means.coordinates).sum())
    return BasisScore("shuffled", bases["helix"].size, r2, float(own.mean()), spread), p


def _clocks(
    held_out: HeldOut, periods: tuple[float, ...], bases: dict[str, Basis], rng: np.random.Generator
) -> tuple[tuple[Clock, ...], float]:
    """Each period on its own, and the held-out R2 of the polynomial with all that come twice."""
    means = held_out.means
    if not periods:
        return (), held_out.r2(held_out.errors(bases["polynomial"]))
    often = [period for period in periods if 2 * period <= means.span]
    degree = bases["polynomial"].degree
    full = Basis.of(means, degree, often)
    enough = full.size <= fewest_trained(held_out.fold)
    beyond = held_out.errors(full if enough else bases["polynomial"])
    gains = wave_gains(means, periods, _NULL_DRAWS, rng)
    found = []
    for period, r2_gain, null in zip(periods, gains.observed, gains.quantile, strict=True):
        gain = se = math.nan
        if period in often and enough:
            without = held_out.errors(Basis.of(means, degree, [other for other in often if other != period]))
            gain = held_out.r2(beyond) - held_out.r2(without)
            se = held_out.error_of(without - beyond)
        turned = circularity(means, bases["helix"], period)
        found.append(Clock(period, means.span / period, turned, gain, se, float(r2_gain), float(null)))
    return tuple(found), held_out.r2(beyond)


def _readout(held_out: HeldOut) -> float:
    """The R2 with which ridge regression reads held-out numbers."""
    means = held_out.means
    target = torch.from_numpy(means.numbers.astype(float))[:, None]
    fold = torch.from_numpy(held_out.fold)
    train = torch.stack([fold != number for number in range(int(fold.max()) + 1)])
    read = ridge_readings(torch.from_numpy(means.coordinates), target, train, 1.0)[
        fold, torch.arange(len(fold))
    ]
    trained = torch.stack([target[rows].mean() for rows in train])[fold][:, None]
    left = target - trained
    return float(1 - (left - read).square().sum() / left.square().sum())
