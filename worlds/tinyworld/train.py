"""Train the embedded model and its smaller sibling from scratch: `python -m conceptscope.worlds.tinyworld.train`."""

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from conceptscope.worlds.tinyworld._corpus import Corpus
from conceptscope.worlds.tinyworld._evaluate import describe, evaluate, held_out_sums, negated_futures
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
    rows: int = 64
    weight_decay: float = 0.05
    constant: float = 0.3
    warmup: int = 100


MAIN = Recipe(d_model=128, d_mlp=384, n_layers=4, n_heads=4, tokens=20_000_000, learning_rate=4e-3)
SIBLING = Recipe(d_model=64, d_mlp=160, n_layers=4, n_heads=4, tokens=12_000_000, learning_rate=6e-3)


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
    """Train one model; `at(model, tokens seen, steps taken)` is called before each step and after the last."""
    model = build_model(recipe, generator=generator)
    corpus = Corpus(recipe.width, random.Random(generator + 1_000))
    opts = optimizers(model, recipe)
    loss_of = torch.compile(next_token_loss) if compiled else next_token_loss
    per_step = recipe.rows * recipe.width
    steps = recipe.tokens // per_step
    for step in range(steps):
        at(model, step * per_step, step)
        rows = torch.from_numpy(corpus.rows(recipe.rows))
        loss = loss_of(model, rows)
        loss.backward()  # type: ignore[no-untyped-call]
        factor = schedule(recipe, step, steps)
        for opt in opts:
            for group in opt.param_groups:
                group["lr"] = recipe.learning_rate * factor
            opt.step()
            opt.zero_grad()
    at(model, steps * per_step, steps)
    return model.eval()


def next_token_loss(model: LlamaForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """The mean cross-entropy of each row's next tokens, in nats."""
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())
