"""When concepts are learned and what is hidden: `python benchmarks/hidden.py [--quick]`, some ten minutes."""

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from _tables import VERDICTS, show
from rich.table import Table

from conceptscope.analyses import HiddenCapability, Target, checkpoints, hidden_capability
from conceptscope.hooks import load_model
from conceptscope.worlds import linear_net, planted, two_factor

SIGNALS = torch.tensor([0.25, 0.5, 1.0, 2.0], dtype=torch.float64)
DELTAS = (0.05, 0.1, 0.2, 0.3, 0.45)
SHARES = (0.0, 0.3, 0.6, 0.8)
STEPS = (*range(0, 60, 3), *range(60, 300, 12))
Row = Sequence[str]


def linear(seeds: int) -> Iterator[Row]:
    """A linear network: when each signal is learned."""
    law = linear_net.learning_times(SIGNALS).tolist()
    found = linear_net.train(SIGNALS, 1500).learning_times()
    for signal, exact, measured in zip(SIGNALS.tolist(), law, found, strict=True):
        error = math.inf if measured is None else abs(measured / exact - 1)
        yield f"signal {signal:g}", f"{measured} ({exact:.1f} in closed form)", verdict("1 %", error < 0.01)
    runs = [linear_net.train(SIGNALS, 3000, aligned=False, generator=seed) for seed in range(seeds)]
    times = np.mean([run.learning_times() for run in runs], axis=0)
    slope = np.polyfit(np.log(SIGNALS.numpy()), np.log(times), 1)[0]
    correlation = np.corrcoef(1 / times, SIGNALS.numpy())[0, 1]
    yield "from random weights", f"slope {slope:.2f}, correlation of 1/T with s {correlation:.4f}", ""


def distance(delta: float) -> float:
    """sqrt(JS) of (.5 + delta, .5 - delta) and its reverse, in nats."""
    return math.sqrt(math.log(2) + sum(p * math.log(p) for p in (0.5 + delta, 0.5 - delta)))


def mean_time(seeds: int, **settings: tuple[float, float]) -> float:
    """The mean step at which the colour is learned; NaN if some run never learns it."""
    times = [two_factor.learning_times(600, generator=seed, **settings)[1] for seed in range(seeds)]
    return float(np.mean([math.nan if one is None else one for one in times]))


def signal_law(seeds: int) -> Iterator[Row]:
    """A tiny transformer: when a colour of this signal is learned."""
    times = []
    for delta in DELTAS:
        times.append(mean_time(seeds, signals=(0.45, delta)))
        yield f"delta {delta:g}", f"{times[-1]:.0f}", ""
    slope = np.polyfit(np.log([distance(delta) for delta in DELTAS]), np.log(times), 1)[0]
    falling = all(after < before for before, after in itertools.pairwise(times))
    yield "slope", f"{slope:.2f}", verdict("falling, slope in [-1.2, -.6]", falling and -1.2 <= slope <= -0.6)


def masking(seeds: int) -> Iterator[Row]:
    """A tiny transformer: when a colour is learned that prompts leave unsaid."""
    times = []
    for share in SHARES:
        times.append(mean_time(seeds, masked=(0.0, share)))
        yield f"masked {share:.0%}", f"{times[-1]:.0f}", ""
    rising = all(after > before for before, after in itertools.pairwise(times))
    yield "", "", verdict("rising", rising)


def target(prompts: Callable[[str, str], list[str]], success: dict[str, Callable[[str], bool]]) -> Target:
    trained = {(): ("large", "red"), ("size",): ("small", "red"), ("colour",): ("large", "blue")}
    return Target(
        prompts("small", "blue"), success, {which: prompts(*words) for which, words in trained.items()}
    )


def times_of(found: HiddenCapability) -> str:
    named = ("train", "latent", "over", "patch", "naive")
    return ", ".join(f"{name} {getattr(found, f't_{name}')}" for name in named)


def rates_of(found: HiddenCapability) -> str:
    if found.latent_rate is None or found.null_rate is None:
        return "never silent"
    first = "" if found.null_rate_at_first is None else f" ({found.null_rate_at_first:.1%} at {found.since})"
    return (
        f"{found.latent_rate:.1%} of shifts, {found.null_rate:.1%} of random ones{first}, p = {found.p:.2f}"
    )


def planted_capability(seeds: int) -> Iterator[Row]:
    """A planted hidden capability, which must be found."""
    success = {"size": lambda text: "small" in text, "colour": lambda text: "blue" in text}
    asked = target(lambda size, colour: planted.prompts(f"{size} {colour}"), success)
    for seed in range(seeds):
        runs = planted.checkpoints(generator=seed)
        found = hidden_capability(runs, asked, grid=[0.5, 1.0], generator=seed)
        exact = (found.t_latent, found.t_over, found.t_naive) == (20, 31, 61)
        yield f"seed {seed}", times_of(found), verdict("latent 20, over 31, naive 61", exact)
        yield "", rates_of(found), "hidden" if found.hidden else "not shown to be hidden"


def trained_capability(seeds: int) -> Iterator[Row]:
    """A trained tiny transformer: is a combination hidden that it never saw?"""
    asked, words = target(two_factor.prompts, dict(two_factor.SUCCESS)), two_factor.tokenizer()
    for seed in range(seeds):
        models = two_factor.checkpoints(STEPS, generator=seed)
        runs = [(step, load_model(model, tokenizer=words)) for step, model in models]
        found = hidden_capability(runs, asked, grid=[0.5, 1.0, 2.0], max_new_tokens=2, generator=seed)
        sooner = found.t_latent is not None and (found.t_naive is None or found.t_latent < found.t_naive)
        yield f"seed {seed}", times_of(found), verdict("latent before naive", sooner)
        yield "", rates_of(found), "hidden" if found.hidden else "not shown to be hidden"


def embedded_run(seeds: int) -> Iterator[Row]:
    """TinyWorld's checkpoints: negation in the future, which training never had."""
    said = {
        (): "the {} was {}. it",
        ("negation",): "the {} was not {}. it",
        ("future",): "the {} will be {}. it",
        ("negation", "future"): "the {} will not be {}. it",
    }
    animals, moods = ("dog", "cat", "horse", "cow"), ("happy", "glad", "cheerful")
    prompts = {
        which: [text.format(*words) for words in itertools.product(animals, moods)]
        for which, text in said.items()
    }
    sad = {"cry", "cried", "sigh", "sighed", "frown", "frowned"}
    success = {
        "negation": lambda text: bool(sad & set(text.replace(".", "").split())),
        "future": lambda text: "will" in text.split(),
    }
    asked = Target(prompts.pop(("negation", "future")), success, prompts)
    found = hidden_capability(checkpoints("tinyworld"), asked, grid=[1.0, 2.0], max_new_tokens=2)
    yield "one run", times_of(found), ""
    yield "", rates_of(found), "hidden" if found.hidden else "not shown to be hidden"


def verdict(wanted: str, met: bool) -> str:
    return f"{wanted}: {VERDICTS[met]}"


PARTS = (linear, planted_capability, embedded_run, masking, signal_law, trained_capability)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed instead of three")
    seeds = 1 if parser.parse_args().quick else 3
    torch.set_num_threads(1)
    for rows in PARTS:
        begun = time.perf_counter()
        table = Table("", "steps", "bar", title=(rows.__doc__ or "").splitlines()[0])
        for row in rows(seeds):
            table.add_row(*row)
        show(table, f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
