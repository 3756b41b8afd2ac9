"""Values of all coalitions of a model's parts: in stages, against a forward pass for each coalition.

`python benchmarks/latent_players.py [--quick]` takes 10 players in the upper half of GPT-2 with random
weights (12 layers, 42M parameters; width 64 with --quick).
"""

from dataclasses import dataclass

import torch
from _timing import Bench, Report, Run, arguments, make_model, parser, texts

from conceptscope.analyses._game import all_masks, nothing
from conceptscope.analyses._latent_game import latent_game
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._token_measures import log_odds
from conceptscope.hooks import HookedModel, intervene, zero_ablate
from conceptscope.hooks._inference import inference

SECONDS, N_TOKENS, TARGET, EQUAL, BAR = 60, 32, 7, 1e-4, 4.0


@dataclass(frozen=True)
class Setting:
    """Ten players."""

    what: str
    players: list[str]


def players(heads: int, layers: range) -> list[str]:
    """Some heads and the MLP of each layer."""
    return [f"z.{layer}.{head}" for layer in layers for head in range(heads)] + [
        f"mlp_out.{layer}" for layer in layers
    ]


SETTINGS = (
    Setting("4 heads and the MLP of layers 6 and 7", players(4, range(6, 8))),
    Setting("a head and the MLP of layers 7 to 11", players(1, range(7, 12))),
)


def main() -> None:
    given = arguments(parser("Games of a model's parts against a forward pass for each coalition."))
    bench, model = Bench(given.quick), make_model("tiny" if given.quick else "42M")
    report = Report(f"others / in stages, 10 players, {N_TOKENS} tokens", given.threads)
    for setting in SETTINGS:
        times = bench.warm(candidates(model, setting), SECONDS)
        found = times.ratio("separate", "stages")
        report.faster(f"{setting.what}: separate", found, BAR)
        report.row(f"{setting.what}: whole batches", times.ratio("whole batches", "stages"), "", "")
    report.print(
        "Separate: intervene() around the Hugging Face model, one coalition at a time, logits at the last "
        "token alone. Whole batches: the same masked interventions on batches that begin at the first layer."
    )


def candidates(model: HookedModel, setting: Setting) -> dict[str, Run]:
    """The three ways, once they agree on every coalition."""
    (text,) = texts(1, N_TOKENS, N_TOKENS)
    game = latent_game(model, text, LogOdds(TARGET), setting.players, ablate="zero")
    runs: dict[str, Run] = {
        "stages": game.all_values,
        "whole batches": lambda: game.forwards.values(~all_masks(len(game.players)), (), nothing),
        "separate": lambda: separate(model, text, setting),
    }
    found = {name: run() for name, run in runs.items()}
    difference = max(float((found["stages"] - other).abs().max()) for other in found.values())
    if not game.path.startswith("layer by layer") or difference > EQUAL:
        raise SystemExit(f"{setting.what}: {game.path}, {difference:.1g} off: nothing to time")
    return runs


def separate(model: HookedModel, text: str, setting: Setting) -> torch.Tensor:
    """A forward pass for each coalition."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    ablations = [zero_ablate(site) for site in setting.players]
    values = []
    for mask in all_masks(len(ablations)).tolist():
        absent = [one for one, present in zip(ablations, mask, strict=True) if not present]
        with intervene(model, *absent), inference(model.hf):
            logits = model.hf(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, 0]
        values.append(log_odds(logits.double(), [TARGET], None))
    return torch.stack(values, 1)


if __name__ == "__main__":
    main()
