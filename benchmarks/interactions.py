"""What interactions cost beside shapiq, linear programmes and the published solver.

`python benchmarks/interactions.py [--quick]` needs the extra `shapiq`.
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapiq
import torch
from _tables import VERDICTS, show
from _timing import Bench, Ratio, Report, Run, arguments, measured, parser
from rich.table import Table
from scipy.optimize import linprog
from torch import Tensor

from conceptscope.analyses._and_or import AndOr, and_or
from conceptscope.analyses._indices import banzhaf, fsii, shapley, sii, stii
from conceptscope.analyses._moebius import moebius, n_players, or_values, orders, zeta
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import text_game
from conceptscope.hooks import load_model

SECONDS, REPEATS, ORDER = 30, 400, 2
TEXT, TARGET = "and the dog there was oddly not very happy and anna was", " happy"


@dataclass(frozen=True)
class Setting:
    """An index of a game of n players, how ours is made of the values, and what it must reach."""

    name: str
    n: int
    order: int
    ours: Callable[[Tensor], Tensor]
    bar: float
    equal: float = 1e-10


SETTINGS = (
    Setting("Moebius", 14, 14, moebius, 1e4),
    Setting("Moebius", 16, 16, moebius, 1e5),
    Setting("SV", 12, 1, lambda values: shapley(moebius(values)), 500),
    Setting("SII", 12, ORDER, lambda values: sii(moebius(values), ORDER), 500),
    Setting("STII", 12, ORDER, lambda values: stii(moebius(values), ORDER), 500),
    Setting("FSII", 12, ORDER, lambda values: fsii(moebius(values), ORDER), 100, equal=1e-8),
    Setting("BV", 12, 1, lambda values: banzhaf(moebius(values)), 100),
)


def main() -> None:
    given = arguments(parser("Interactions beside their peers."))
    arithmetic(given.quick, given.threads)
    sparsest(given.quick)


def arithmetic(quick: bool, threads: int) -> None:
    """shapiq's exact computer over the same values, which both have beforehand."""
    bench = Bench(quick)
    report = Report("shapiq / ours", threads, ("apart", "bar", "verdict"))
    for setting in SETTINGS[:1] + SETTINGS[2:] if quick else SETTINGS:
        values = torch.randn(2**setting.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        theirs = shapiqs(setting, values)
        apart = distance(theirs(), setting.ours(values))
        found = bench({"theirs": theirs, "ours": repeated(setting.ours, values)}, SECONDS)
        ratio = each(found.ratio("theirs", "ours"))
        met = ratio.wall >= setting.bar and apart <= setting.equal
        what = f"{setting.name}, n = {setting.n}"
        report.row(what, ratio, f"{apart:.0e}", f">= {setting.bar:g}", VERDICTS[met])
    report.print(f"shapiq 1.4.1's ExactComputer, with a table of values as its game; orders up to {ORDER}.")


def shapiqs(setting: Setting, values: Tensor) -> Callable[[], Any]:
    table, bits = values.numpy(), 1 << np.arange(setting.n)

    def run() -> Any:
        computer = shapiq.ExactComputer(lambda coalitions: table[coalitions @ bits], setting.n)
        return computer(setting.name, order=setting.order)

    return run


def repeated(ours: Callable[[Tensor], Tensor], values: Tensor) -> Run:
    """Ours many times, since once is too short to be measured."""

    def run() -> None:
        for _ in range(REPEATS):
            ours(values)

    return run


def each(many: Ratio) -> Ratio:
    return Ratio(*(REPEATS * one for one in (many.wall, many.cpu, many.low, many.high)), many.rounds)


def distance(theirs: Any, ours: Tensor) -> float:
    """The greatest difference; one value a player where they have no masks."""
    of_players = len(ours) < len(theirs.interaction_lookup)
    places = {
        members: members[0] if of_players else sum(1 << player for player in members)
        for members in theirs.interaction_lookup
        if members
    }
    return max(abs(theirs[members] - float(ours[place])) for members, place in places.items())


@dataclass(frozen=True)
class Row:
    """What a row of the table shows, and whether it is as wanted."""

    cells: tuple[str, ...]
    wanted: str = ""
    met: bool = True


def sparsest(quick: bool) -> None:
    """AND-OR effects beside the linear programme's optimum and the published solver."""
    table = Table("game", "ours", "s", "gap", "optimum", "published SGD", "s", "wanted", "", title="AND-OR")
    for row in sparsest_rows(quick):
        table.add_row(*row.cells, row.wanted, VERDICTS[row.met])
    table.caption = "sums of the effects' magnitudes; CPU seconds"
    show(table)


def sparsest_rows(quick: bool) -> Iterator[Row]:
    for n in (7,) if quick else (7, 8, 9):
        for share in (0.0, 0.04):
            yield beside_optimum(f"planted, noisy, n = {n}", planted(n, noise=0.02), share)
    game = text_game(load_model("tinyworld"), TEXT, LogOdds(TARGET), players="tokens").all_values()[0]
    for share in (0.0, 0.04):
        yield certified(f"TinyWorld, n = {n_players(game)}", game, share, 2e-3, 10)
    yield certified("planted, n = 14", planted(14, n_effects=20), 0.0, 1e-4, 5)


def beside_optimum(what: str, values: Tensor, share: float) -> Row:
    seconds, found = timed(lambda: and_or(values, noise_share=share))
    least = optimum(values, share * float((values[-1] - values[0]).abs()))
    theirs, took = ("", "")
    if not share:
        spent, magnitude = timed(lambda: published(values))
        theirs, took = f"{magnitude:.3f}", f"{spent:.1f}"
    cells = shown(what, found, seconds, share)
    return Row((*cells, f"{least:.3f}", theirs, took), "<= 1.005 optimum", found.objective <= 1.005 * least)


def certified(what: str, values: Tensor, share: float, gap: float, most: float) -> Row:
    seconds, found = timed(lambda: and_or(values, noise_share=share, tolerance=gap))
    cells = (*shown(what, found, seconds, share), "", "", "")
    return Row(cells, f"gap <= {gap:g} within {most:g} s", found.gap <= gap and seconds <= most)


def shown(what: str, found: AndOr, seconds: float, share: float) -> tuple[str, ...]:
    noise = f", noise of {share:g}" if share else ""
    return f"{what}{noise}", f"{found.objective:.3f}", f"{seconds:.1f}", f"{found.gap:.1e}"


def timed(run: Run) -> tuple[float, Any]:
    (_, cpu), result = measured(run)
    return cpu, result


def planted(n: int, n_effects: int = 6, noise: float = 0.0) -> Tensor:
    """The values of some AND and OR effects of order 2 to 4."""
    drawn, sizes = torch.Generator().manual_seed(n), orders(n)
    able = ((sizes >= 2) & (sizes <= 4)).nonzero()[:, 0]
    effects = torch.zeros(2, 2**n, dtype=torch.float64)
    for one in effects:
        masks = able[torch.randperm(len(able), generator=drawn)[:n_effects]]
        one[masks] = torch.randn(n_effects, generator=drawn, dtype=torch.float64)
    values = zeta(effects[0]) + or_values(effects[1])
    return values + noise * torch.randn(2**n, generator=drawn, dtype=torch.float64)


def optimum(values: Tensor, box: float) -> float:
    """The least sum of magnitudes, by a linear programme over dense matrices."""
    n = n_players(values)
    contains, avoids = (power(rows, n)[1:, 1:] for rows in (((1, 0), (1, 1)), ((1, 1), (1, 0))))
    parts = np.hstack([contains, 1 - avoids])
    gains = (values - values[0]).numpy()[1:]
    equal = np.hstack([parts, -parts, -np.eye(len(gains))])
    cost = np.concatenate([np.ones(2 * parts.shape[1]), np.zeros(len(gains))])
    limits = [(0, None)] * (2 * parts.shape[1]) + [(-box, box)] * len(gains)
    return float(linprog(cost, A_eq=equal, b_eq=gains, bounds=limits, method="highs").fun)


def published(values: Tensor, steps: int = 20_000) -> float:
    """The authors' way: gradient descent on p with v_and = v/2 + p, over dense matrices.

    The least sum on the way, of three rates that are ours. Source: arXiv 2305.01939, section 4.
    """
    n = n_players(values)
    to_and = torch.from_numpy(power(((1, 0), (-1, 1)), n)).double()
    to_or = -to_and.flip(1)
    halves, weighted = values / 2, torch.arange(2**n) > 0
    best = math.inf
    for rate in (1e-5, 1e-4, 1e-3):
        p = torch.zeros_like(values, requires_grad=True)
        descent = torch.optim.SGD([p], lr=rate * float(values.std()), momentum=0.9)
        for _ in range(steps):
            descent.zero_grad()
            effects = torch.stack([to_and @ (halves + p), to_or @ (halves - p)])[:, weighted]
            magnitude = effects.abs().sum()
            magnitude.backward()  # type: ignore[no-untyped-call]
            descent.step()
            best = min(best, magnitude.item())
    return best


def power(rows: tuple[tuple[int, int], tuple[int, int]], n: int) -> np.ndarray:
    return functools.reduce(np.kron, [np.array(rows)] * n)


if __name__ == "__main__":
    main()
