"""Sparse interactions of many players, beside shapiq's ProxySPEX and SPEX at the same budget of coalitions.

Needs shapiq 1.4.1 and lightgbm. CPU seconds are until AND effects are there, without those of the game.
R² is on coalitions that neither has seen; of the budget ours holds a fifth out, ProxySPEX nothing.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable

import numpy as np
import torch
import transformers
from _tables import show
from _timing import arguments, parser, texts, tokenizer
from rich.table import Table
from torch import Tensor

from conceptscope.analyses._game import Game, nothing
from conceptscope.analyses._sparse_game import sparse_interactions
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import text_game
from conceptscope.hooks import load_model

N_TEST, SEEDS = 2000, (1, 2)
PLANTED = [(64, 2000, 20, 4), (300, 3000, 20, 3), (1000, 5000, 20, 3)]
Moebius = dict[tuple[int, ...], float]


class Planted:
    """A sum of AND effects of random players, 1 to 3 in magnitude."""

    n_targets = 1

    def __init__(self, n: int, n_effects: int, max_order: int) -> None:
        drawn = random.Random(n)
        self.players = tuple(f"p{i}" for i in range(n))
        self._effects = {
            tuple(drawn.sample(range(n), drawn.randint(1, max_order))): drawn.choice((-1, 1))
            * drawn.uniform(1, 3)
            for _ in range(n_effects)
        }

    def values(self, masks: Tensor, done: Callable[[int], object] = nothing) -> Tensor:
        return predicted(self._effects, masks)[None]

    def all_values(self, done: Callable[[int], object] = nothing) -> Tensor:
        raise ValueError("too many players")


class Timed:
    """A game that keeps the seconds it takes."""

    def __init__(self, game: Game) -> None:
        self.players, self.n_targets, self.seconds = game.players, game.n_targets, 0.0
        self._game = game

    def values(self, masks: Tensor, done: Callable[[int], object] = nothing) -> Tensor:
        begun = time.process_time()
        found = self._game.values(masks, done)
        self.seconds += time.process_time() - begun
        return found

    def all_values(self, done: Callable[[int], object] = nothing) -> Tensor:
        return self._game.all_values(done)


def model_game(spread: float, seed: int) -> Game:
    """GPT-2 of 4 layers with random weights of that standard deviation: the larger, the less linear.

    Weights and text of seed 0 and 3 chose the weights of our search: no row has them.
    """
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_embd=64,
        n_head=4,
        n_layer=4,
        vocab_size=8192,
        n_positions=128,
        bos_token_id=None,
        eos_token_id=None,
        initializer_range=spread,
    )
    model = load_model(transformers.GPT2LMHeadModel(config).eval(), tokenizer=tokenizer())
    text = texts(1, 40, 40, seed=100 + seed)[0]
    with torch.inference_mode():
        logits = model.hf(torch.tensor([model.tokenizer(text)["input_ids"]])).logits
    return text_game(model, text, LogOdds(int(logits[0, -1].argmax())), players="tokens")


def predicted(effects: Moebius, masks: Tensor) -> Tensor:
    found = torch.zeros(len(masks), dtype=torch.float64)
    for players, effect in effects.items():
        found += effect * masks[:, list(players)].all(1)
    return found


def ours(game: Game, budget: int) -> Moebius:
    (found,) = sparse_interactions(game, budget)
    return found.effects


def shapiq_way(name: str) -> Callable[[Game, int], Moebius]:
    """One of shapiq's sparse approximators, stopped when it has Moebius effects."""
    from shapiq.approximator.sparse import SPEX, ProxySPEX

    class StoppedError(Exception):
        def __init__(self, effects: Moebius) -> None:
            self.effects = effects

    class Peer({"SPEX": SPEX, "ProxySPEX": ProxySPEX}[name]):  # type: ignore[misc]
        def _process_moebius(self, moebius_transform: Moebius) -> np.ndarray:
            raise StoppedError(
                {tuple(map(int, key)): float(np.real(v)) for key, v in moebius_transform.items()}
            )

    def run(game: Game, budget: int) -> Moebius:
        def values(masks: np.ndarray) -> np.ndarray:
            return game.values(torch.from_numpy(np.asarray(masks, dtype=bool)))[0].numpy()

        try:
            Peer(n=len(game.players), index="FBII", max_order=2, random_state=0).approximate(budget, values)
        except StoppedError as stopped:
            return stopped.effects
        raise RuntimeError("shapiq has no _process_moebius any more")

    return run


def row(
    label: str, game: Game, budget: int, ways: dict[str, Callable[[Game, int], Moebius]], threads: int
) -> list[str]:
    """R² and seconds of each way."""
    masks = torch.rand(N_TEST, len(game.players), generator=torch.Generator().manual_seed(99)) < 0.5
    true = game.values(masks)[0]
    cells, seconds = [label, str(budget)], {}
    for name, way in ways.items():
        torch.set_num_threads(threads)  # SPEX's libraries undo it, and idle threads' CPU time would count
        timed = Timed(game)
        begun = time.process_time()
        try:
            effects = way(timed, budget)
        except ValueError as refused:
            cells += [f"refused: {str(refused)[:30]}", ""]
            continue
        seconds[name] = time.process_time() - begun - timed.seconds
        left = true - predicted(effects, masks)
        cells += [f"{1 - float(left.square().mean() / true.var()):.4f}", f"{seconds[name]:.2f}"]
    return [*cells, f"1/{seconds['ProxySPEX'] / seconds['ours']:.0f}"]


def main() -> None:
    made = arguments(parser(__doc__ or ""))
    ways = {"ours": ours, "ProxySPEX": shapiq_way("ProxySPEX"), "SPEX": shapiq_way("SPEX")}
    table = Table(title="Held-out R² and CPU seconds at equal budget")
    for column in ("game", "budget", *(f"{name} {what}" for name in ways for what in ("R²", "s")), "time"):
        table.add_column(column, justify="right")
    for spread, seed in itertools.product((0.1, 0.2), SEEDS[: 1 if made.quick else None]):
        label = f"GPT-2, weights {spread}, seed {seed}, n = 40"
        table.add_row(*row(label, model_game(spread, seed), 2000, ways, made.threads))
    for n, budget, n_effects, max_order in PLANTED[: 1 if made.quick else None]:
        label = f"{n_effects} ANDs of up to {max_order}, n = {n}"
        table.add_row(*row(label, Planted(n, n_effects, max_order), budget, ways, made.threads))
    show(table)


if __name__ == "__main__":
    main()
