"""Values of all masked texts: a prefix trie against the best batched forwards.

`python benchmarks/games.py [--quick]` compares the trie's time with that of plain forward passes in batches
of 16, 64 and 256, on GPT-2 with random weights (6 layers of width 256), and fails where a bar is missed.
"""

import sys
from dataclasses import dataclass

import torch
import transformers
from _timing import CONTEXT, VOCABULARY, Bench, Report, Run, arguments, parser, texts, tokenizer

from conceptscope.analyses._game import all_masks
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import TextGame, text_game
from conceptscope.analyses._token_measures import log_odds
from conceptscope.hooks import HookedModel, load_model

SIZES, EQUAL = (16, 64, 256), 1e-4
SECONDS, TARGET = 120, "w7"


@dataclass(frozen=True)
class Setting:
    """A text of so many tokens, those that may be absent, and how much faster the trie must be."""

    what: str
    n_tokens: int
    players: list[int]
    bar: float


SETTINGS = (
    Setting("T = 32, 12 players, first to last token", 32, [round(31 * i / 11) for i in range(12)], 6),
    Setting("T = 160, 8 players, each 4th token behind 128", 160, list(range(128, 160, 4)), 15),
)


def main() -> None:
    given = arguments(parser("The prefix trie against batched forwards."))
    bench, model = Bench(given.quick), make_model()
    report = Report("best batched forwards / prefix trie, GPT-2 of 6 layers", given.threads)
    missed = []
    for setting in SETTINGS:
        runs = candidates(model, setting)
        times = bench(runs, SECONDS)
        floors = {name: times.ratio(name, "trie") for name in runs if name != "trie"}
        best = min(floors, key=lambda name: floors[name].wall)
        met = floors[best].wall >= setting.bar
        verdict = "[green]met[/]" if met else "[red]under[/]"
        report.row(f"{setting.what}: {best}", floors[best], f">= {setting.bar:g}", verdict)
        missed += [] if met else [setting.what]
    report.print(
        "Batches: the body with inputs_embeds made in advance, logits at the last token alone. Both sides "
        "give log-odds in float64, and are compared mask by mask before they are timed.",
    )
    sys.exit(f"bars missed: {', '.join(missed)}" if missed else 0)


def make_model() -> HookedModel:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=6,
        n_embd=256,
        n_head=4,
        vocab_size=VOCABULARY,
        n_positions=CONTEXT,
        bos_token_id=None,
        eos_token_id=None,
    )
    return load_model(transformers.GPT2LMHeadModel(config).eval(), tokenizer=tokenizer())


def candidates(model: HookedModel, setting: Setting) -> dict[str, Run]:
    """The trie and batches of several sizes, once they agree on every mask."""
    game = game_of(model, setting)
    runs = {f"batches of {size}": batched(model, game, size) for size in SIZES}
    for name, run in runs.items():
        difference = float((game.all_values()[0] - run()).abs().max())
        if game.path != "prefix trie" or difference > EQUAL:
            raise SystemExit(f"{setting.what}: {game.path}, {difference:.1g} off {name}: nothing to time")
    return {"trie": game.all_values, **runs}


def game_of(model: HookedModel, setting: Setting) -> TextGame:
    (text,) = texts(1, setting.n_tokens, setting.n_tokens)
    offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return text_game(model, text, LogOdds(TARGET), players=[offsets[token] for token in setting.players])


def batched(model: HookedModel, game: TextGame, size: int) -> Run:
    """Plain forward passes of all masked texts, so many at once, from embeddings made beforehand."""
    target = model.tokenizer.convert_tokens_to_ids(TARGET)
    embed, ids = model.hf.get_input_embeddings(), torch.tensor(model.tokenizer(game.text)["input_ids"])
    absent = torch.zeros(2 ** len(game.players), len(ids), dtype=torch.bool)
    for player, span in enumerate(game.spans):
        absent[:, list(span)] = ~all_masks(len(game.players))[:, player, None]

    def run() -> torch.Tensor:
        found = []
        with torch.inference_mode():
            there, mean = embed(ids), embed.weight.mean(0)
            for some in absent.split(size):
                x = torch.where(some[..., None], mean, there)
                states = model.hf.transformer(inputs_embeds=x, use_cache=False).last_hidden_state[:, -1]
                found.append(log_odds(model.hf.lm_head(states).double(), (target,), None))
        return torch.cat(found)

    return run


if __name__ == "__main__":
    main()
