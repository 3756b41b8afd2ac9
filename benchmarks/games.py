"""Values of all masked texts: a prefix trie against the best batched forwards, and interactions end to end.

`python benchmarks/games.py [--quick]` compares the trie's time with that of plain forward passes in batches
of 16, 64 and 256, on GPT-2 with random weights (6 layers of width 256); then `interactions` with shapiq's
exact computer over these batches (which needs the extra `shapiq`).
"""

from dataclasses import dataclass

import numpy as np
import shapiq
import torch
import transformers
from _timing import CONTEXT, VOCABULARY, Bench, Report, Run, arguments, parser, texts, tokenizer

from conceptscope.analyses import interactions
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import TextGame, text_game
from conceptscope.analyses._token_measures import log_odds
from conceptscope.hooks import HookedModel, load_model

SIZES, EQUAL = (16, 64, 256), 1e-4
SECONDS, TARGET = 150, "w7"


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


END_TO_END = tuple(
    Setting(f"T = 32, {n} players", 32, [round(31 * i / (n - 1)) for i in range(n)], 5) for n in (10, 12)
)
"""Where interactions are compared with shapiq's."""


def main() -> None:
    given = arguments(parser("The prefix trie against batched forwards."))
    bench, model = Bench(given.quick), make_model()
    games(bench, model, given.threads)
    end_to_end(bench, model, given.threads)


def games(bench: Bench, model: HookedModel, threads: int) -> None:
    """The values alone."""
    report = Report("best batched forwards / prefix trie, GPT-2 of 6 layers", threads)
    for setting in SETTINGS:
        runs = candidates(model, setting)
        times = bench(runs, SECONDS)
        floors = {name: times.ratio(name, "trie") for name in runs if name != "trie"}
        best = min(floors, key=lambda name: floors[name].wall)
        report.faster(f"{setting.what}: {best}", floors[best], setting.bar)
    report.print(
        "Batches: the body with inputs_embeds made in advance, logits at the last token alone. Both sides "
        "give log-odds in float64, and are compared mask by mask before they are timed.",
    )


def end_to_end(bench: Bench, model: HookedModel, threads: int) -> None:
    """From a text to its interactions."""
    report = Report("shapiq over batched forwards / interactions()", threads)
    for setting in END_TO_END:
        runs = from_text(model, setting)
        times = bench(runs, SECONDS)
        theirs = [name for name in runs if name.startswith("shapiq")]
        best = min(theirs, key=lambda name: times.ratio(name, "ours").wall)
        report.faster(f"{setting.what}: {best}", times.ratio(best, "ours"), setting.bar)
        report.row(f"{setting.what}: with the noise floor", times.ratio(best, "with noise"), "", "")
    report.print("The Moebius transform by shapiq's ExactComputer; ours without, then with the noise floor.")


def from_text(model: HookedModel, setting: Setting) -> dict[str, Run]:
    """Ours and shapiq's over batches of several sizes, once they agree on every effect."""
    game, n = game_of(model, setting), len(setting.players)
    spans = player_spans(model, game.text, setting)

    def ours(noise: bool = False) -> torch.Tensor:
        found = interactions(model, game.text, LogOdds(TARGET), players=spans, noise=noise)
        return found.effects["and"]

    def theirs(size: int) -> Run:
        values, bits = batched(model, game, size), 1 << np.arange(n)

        def asked(coalitions: np.ndarray) -> np.ndarray:
            return values()[torch.from_numpy(coalitions @ bits)].numpy()

        return lambda: shapiq.ExactComputer(asked, n)("Moebius", order=n)

    runs: dict[str, Run] = {f"shapiq, batches of {size}": theirs(size) for size in SIZES}
    found, effects = runs[f"shapiq, batches of {SIZES[0]}"](), ours()
    for members in found.interaction_lookup:
        place = sum(1 << player for player in members)
        if members and abs(found[members] - float(effects[place])) > EQUAL * 2 ** len(members):
            raise SystemExit(f"{setting.what}: shapiq's effect of {members} is another: nothing to time")
    return {**runs, "ours": ours, "with noise": lambda: ours(noise=True)}


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
    return text_game(model, text, LogOdds(TARGET), players=player_spans(model, text, setting))


def player_spans(model: HookedModel, text: str, setting: Setting) -> list[tuple[int, int]]:
    offsets = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return [offsets[token] for token in setting.players]


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
