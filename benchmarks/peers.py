"""Other libraries beside ours, each where it installs: `make bench-peers`."""

import os

os.environ["TQDM_DISABLE"] = "1"

import gc
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch
from _peers import N_TOKENS, PEERS, RAW, Peer, decoding, encoded, named, ours
from _timing import (
    SIZES,
    Bench,
    Report,
    Run,
    arguments,
    bare,
    contrast_pairs,
    error,
    make_model,
    one_at_a_time,
    padded,
    parser,
    texts,
)

from conceptscope.hooks import HookedModel

WRONG = 1e-3
FLOOR = "bare"


def main() -> None:
    given = arguments(parser("Other libraries beside ours."))
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    bench = Bench(given.quick)
    for size in SIZES:
        model = make_model(size)
        peers = {"conceptscope": ours(model)} | found(size)
        pairs = contrast_pairs(given.texts // 2)
        what = f"{given.texts // 2} contrast pairs of 17-40 tokens that differ in the last 1-4"
        states(size, what, pairs, model, peers, bench, given.threads)
        what = f"{given.texts} texts of 17-36 tokens"
        states(size, what, texts(given.texts, 17, 36), model, peers, bench, given.threads)
        steering(size, model, peers, bench, given.threads)
        del peers
        gc.collect()


def found(size: str) -> dict[str, Peer]:
    """The peers that install and load a model of their own; the others are named with their reason."""
    made = {}
    for name, make in PEERS.items():
        peer = attempt(f"{named(name)} does not load here", make, make_model(size))
        if peer is not None:
            made[named(name)] = peer
    return made


def attempt(what: str, run: Callable[..., Any], *args: Any) -> Any:
    """What it gives, or None and a line that says why not: no peer stops the others."""
    try:
        return run(*args)
    except Exception as problem:
        reason = (str(problem).strip() or "no message").splitlines()[0][:150]
        print(f"{what}: {type(problem).__name__}: {reason}")
        return None


def states(
    size: str,
    what: str,
    given: list[str],
    model: HookedModel,
    peers: dict[str, Peer],
    bench: Bench,
    threads: int,
) -> None:
    """Every layer's last-token states of some texts, and how far they are from one text at a time."""
    probe = given[:64]
    true = one_at_a_time(model, probe)
    columns = ("error", "last layer")
    title = f"{size}: last-token states of all layers, {what}, over bare forwards"
    report = Report(title, threads, columns)
    runs: dict[str, Run] = {FLOOR: bare(model, padded(model, given))}
    errors = {}
    for name, peer in peers.items():
        hidden = attempt(f"{name} does not run", peer.states, probe)
        if hidden is not None:
            runs[name] = lambda peer=peer: peer.states(given)
            errors[name] = [error(hidden[:-1], true[:-1]), error(hidden[-1], true[-1])]
    runs[FLOOR]()
    times = bench.warm(runs, 90 if size == "42M" else 30)
    for name in errors:
        report.row(name, times.ratio(name, FLOOR), *map(shown, errors[name]))
    report.print(
        "error: the largest distance of a state from that of the text alone, relative to its norm, over "
        f"{len(probe)} texts; the last layer, which some libraries read after the final norm, on its own."
    )


def shown(value: float) -> str:
    return f"[red]{value:.2f}[/]" if value > WRONG else f"{value:.0e}"


def steering(size: str, model: HookedModel, peers: dict[str, Peer], bench: Bench, threads: int) -> None:
    """Generation with a vector added at every token, over plain generation without one."""
    title = f"{size}: {N_TOKENS} tokens generated with a vector added in one layer, over plain hf.generate"
    report = Report(title, threads, ("as a raw hook",))
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    for n in (1, 8):
        prompts = texts(n, 16, 16)
        runs: dict[str, Run] = {FLOOR: unsteered(model, prompts)}
        said: dict[str, list[str]] = {}
        for name, peer in peers.items():
            run = attempt(f"{name} does not steer", peer.steer, prompts, vector)
            tokens = run and attempt(f"{name} does not steer", run)
            if tokens is not None:
                runs[name], said[name] = run, words(model, tokens)
        times = bench(runs, 20)
        for name in said:
            same = sum(a == b for a, b in zip(said[name], said[named(RAW)], strict=True))
            what = f"{name}, {n} prompt{'s' if n > 1 else ''}"
            report.row(what, times.ratio(name, FLOOR), "yes" if same == n else f"[red]{same} of {n}[/]")
        report.section()
    report.print("as a raw hook: whether the tokens are those of hf.generate with a forward hook that adds.")


def unsteered(model: HookedModel, prompts: list[str]) -> Run:
    batch = encoded(model, prompts)

    def run() -> None:
        with torch.inference_mode():
            model.hf.generate(**batch, **decoding())

    return run


def words(model: HookedModel, made: Any) -> list[str]:
    """The last words of each continuation, of tokens with or without their prompt, or of texts."""
    decoded = [text if isinstance(text, str) else model.tokenizer.decode(text) for text in made]
    return [" ".join(text.split()[-N_TOKENS:]) for text in decoded]


if __name__ == "__main__":
    main()
