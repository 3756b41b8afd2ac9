"""Train the embedded model and its smaller sibling: `python -m conceptscope.worlds.tinyworld.train`."""

import argparse
import json
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from conceptscope.worlds.tinyworld._corpus import Corpus
from conceptscope.worlds.tinyworld._evaluate import describe, evaluate, held_out_sums
from conceptscope.worlds.tinyworld._texts import sample
from conceptscope.worlds.tinyworld._tokenizer import build_tokenizer, vocabulary


@dataclass(frozen=True)
class Recipe:
    """How a model is made: its widths, and how long and how fast it is trained."""

    d_model: int
    d_mlp: int
    n_layers: int
    n_heads: int
    tokens: int
    learning_rate: float
    width: int = 64
    rows: int = 32
    weight_decay: float = 0.05
    constant: float = 0.3
    warmup: int = 100
    statements_first: int = 700_000


MAIN = Recipe(d_model=128, d_mlp=384, n_layers=4, n_heads=4, tokens=14_000_000, learning_rate=2.5e-3)
SIBLING = Recipe(d_model=64, d_mlp=160, n_layers=4, n_heads=4, tokens=8_000_000, learning_rate=4e-3)


def build_model(recipe: Recipe, *, generator: int = 0) -> LlamaForCausalLM:
    """An untrained model of this shape."""
    config = LlamaConfig(
        vocab_size=len(vocabulary()),
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_mlp,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        num_key_value_heads=recipe.n_heads,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(generator)
        return LlamaForCausalLM(config)


def optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for the embedding and the norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        torch.optim.Muon(
            matrices,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            momentum=0.95,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def schedule(recipe: Recipe, step: int, steps: int) -> float:
    """The learning rate's factor: a short warm-up, a constant share, then a cosine to zero."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    done = max(0.0, (step / steps - recipe.constant) / (1 - recipe.constant))
    return 0.5 * (1 + math.cos(math.pi * done))


def train(
    recipe: Recipe,
    *,
    generator: int = 0,
    compiled: bool = False,
    at: Callable[[LlamaForCausalLM, int, int], None] = lambda *_: None,
) -> LlamaForCausalLM:
    """Train one model; `at(model, tokens seen, steps taken)` is called before each step and at the end."""
    model = build_model(recipe, generator=generator)
    corpus = Corpus(recipe.width, random.Random(generator + 1_000))
    opts = optimizers(model, recipe)
    loss_of = torch.compile(next_token_loss) if compiled else next_token_loss
    per_step = recipe.rows * recipe.width
    steps = recipe.tokens // per_step
    for step in range(steps):
        at(model, step * per_step, step)
        rows = torch.from_numpy(
            corpus.rows(recipe.rows, statements=step * per_step < recipe.statements_first)
        )
        loss = loss_of(model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        factor = schedule(recipe, step, steps)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = recipe.learning_rate * factor
            opt.step()
            opt.zero_grad()
    at(model, steps * per_step, steps)
    model.eval()  # type: ignore[no-untyped-call]
    return model


def apart(tokens: torch.Tensor) -> torch.Tensor:
    """The mask [row, 1, position, position] under which a token sees its own text alone, up to itself.

    So that a text is learned as it is later read: alone in its context.
    """
    text = (tokens == 0).cumsum(1)
    same = text[:, :, None] == text[:, None, :]
    return same.tril()[:, None]


def next_token_loss(model: LlamaForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of each row's next tokens, in nats."""
    tokens = rows[:, :-1]
    logits = model(input_ids=tokens, attention_mask=apart(tokens), use_cache=False).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())


def checkpoint_steps(recipe: Recipe, n: int = 25) -> list[int]:
    """The steps after which a checkpoint is kept: none, then log-spaced to the last."""
    last = recipe.tokens // (recipe.rows * recipe.width)
    first = 16
    spaced = {round(first * (last / first) ** (i / (n - 2))) for i in range(n - 1)}
    return [0, *sorted(spaced)]


def save(model: LlamaForCausalLM, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Config, tokenizer and weights; stored as `dtype`, and loaded as the model is."""
    weights = {name: tensor.detach().to(dtype) for name, tensor in model.state_dict().items()}
    weights.pop("lm_head.weight", None)
    model.save_pretrained(folder, state_dict=weights)
    build_tokenizer().save_pretrained(folder)


def train_main(folder: Path, seed: int, compiled: bool, recipe: Recipe = MAIN) -> LlamaForCausalLM:
    """Train the embedded model and leave it in `folder`."""
    with _bar("the model", recipe) as tick:
        model = train(recipe, generator=seed, compiled=compiled, at=lambda model, tokens, step: tick(step))
    save(model, folder)
    return model


def train_sibling(folder: Path, seed: int, compiled: bool, recipe: Recipe = SIBLING) -> LlamaForCausalLM:
    """Train the smaller sibling and leave its checkpoints in `folder`, with an index of the tokens seen."""
    kept = set(checkpoint_steps(recipe))
    index: list[dict[str, int | str]] = []

    with _bar("its sibling", recipe) as tick:

        def at(model: LlamaForCausalLM, tokens: int, step: int) -> None:
            tick(step)
            if step in kept:
                name = f"step{step:05d}"
                save(model, folder / name, dtype=torch.float16)
                index.append({"folder": name, "step": step, "tokens": tokens})

        model = train(recipe, generator=seed, compiled=compiled, at=at)
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return model


@contextmanager
def _bar(name: str, recipe: Recipe) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("training {task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    steps = recipe.tokens // (recipe.rows * recipe.width)
    with Progress(*columns, TimeRemainingColumn()) as progress:
        task = progress.add_task(name, total=steps)
        yield lambda step: progress.update(task, completed=step)


def report(model: LlamaForCausalLM) -> None:
    """Print how well a model has learned."""
    texts = [*sample(6000, generator=12_345), *held_out_sums(600)]
    for line in describe(evaluate(model, texts)):
        print(line)


def main() -> None:
    """Train both models, and say how well they learned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("tinyworld"), help="folder to write weights/ and checkpoints/ to"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--compile", action="store_true", help="compile the model first: a fifth faster, needs a C++ compiler"
    )
    parser.add_argument("--tokens", type=int, help="train on this many tokens instead: a short rehearsal")
    parser.add_argument("--only", choices=("weights", "checkpoints"), help="train one of the two")
    args = parser.parse_args()
    disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.set_num_threads(args.threads)
    for name, recipe, run in (("weights", MAIN, train_main), ("checkpoints", SIBLING, train_sibling)):
        if args.only in (None, name):
            recipe = replace(recipe, tokens=args.tokens or recipe.tokens)
            report(run(args.out / name, args.seed, args.compile, recipe))


if __name__ == "__main__":
    main()
