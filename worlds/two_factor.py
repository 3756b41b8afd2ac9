"""A tiny transformer that learns sizes and colours, one combination of which its training leaves out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

SIZES, COLOURS = ("large", "small"), ("red", "blue")
THINGS = ("cup", "car", "box", "hat")
UNSAID = "some"
_ANSWERS = (("big", "tiny"), ("warm", "cool"))
_WORDS = ("<end>", UNSAID, *SIZES, *COLOURS, *THINGS, "is", *_ANSWERS[0], *_ANSWERS[1])
_IDS = {word: number for number, word in enumerate(_WORDS)}
_TRAINED = ((0, 0), (1, 0), (0, 1))
_BATCH, _RATE = 64, 1e-3
_SPREADS = {"wte": 1.0, "wpe": 1.0, "lm_head": 0.05, "h": 0.07}
"""Standard deviations of the first weights; with greater ones in the blocks, small blue comes later."""

SUCCESS: Mapping[str, Callable[[str], bool]] = {
    "size": lambda text: "tiny" in text.split(),
    "colour": lambda text: "cool" in text.split(),
}
"""Whether a text has the size, and the colour, of what training leaves out, small blue things."""


def prompts(size: str, colour: str) -> list[str]:
    """The prompts of a combination, one for each thing; the model goes on with a size and a colour.

    Raises:
        KeyError: another size or colour than those of SIZES and COLOURS.

    >>> prompts("small", "blue")[:2]
    ['small blue cup is', 'small blue car is']
    """
    for word, known in ((size, SIZES), (colour, COLOURS)):
        if word not in known:
            raise KeyError(f"no {word!r}: there are {' and '.join(known)}")
    return [f"{size} {colour} {thing} is" for thing in THINGS]


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word."""
    raw = Tokenizer(models.WordLevel(dict(_IDS), unk_token=UNSAID))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>")  # type: ignore[no-untyped-call]


def train(
    steps: int = 400,
    *,
    signals: tuple[float, float] = (0.45, 0.45),
    masked: tuple[float, float] = (0.0, 0.0),
    at: Callable[[int, GPT2LMHeadModel], object] = lambda *_: None,
    generator: int = 0,
) -> GPT2LMHeadModel:
    """Train two layers of width 64 on large red, small red and large blue things.

    A text is a prompt, a word for its size and one for its colour.

    signals: of size and colour: the word that suits the prompt has the probability .5 + signal.
    masked: the share of prompts that do not say their size, and that do not say their colour.
    at: called with the number of steps taken and the model, before each step and at the end.

    Raises:
        ValueError: a signal outside (0, .5], or a share outside [0, 1).

    >>> _ = train(2, at=lambda step, model: print(step, model.config.n_layer))
    0 2
    1 2
    2 2
    """
    if not all(0 < signal <= 0.5 for signal in signals):
        raise ValueError(f"signals must be above 0 and at most .5, got {signals}")
    if not all(0 <= share < 1 for share in masked):
        raise ValueError(f"masked shares must be from 0 on and below 1, got {masked}")
    rng = torch.Generator().manual_seed(generator)
    model = _untrained(generator)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    for step in range(steps):
        at(step, model)
        texts = _texts(torch.tensor(signals), torch.tensor(masked), rng)
        logits = model(texts[:, :-1]).logits[:, -2:]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), texts[:, -2:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    at(steps, model)
    return model


def checkpoints(
    steps: Collection[int], *, signals: tuple[float, float] = (0.45, 0.45), generator: int = 0
) -> list[tuple[int, GPT2LMHeadModel]]:
    """The models after some numbers of steps of one training run.

    Raises:
        ValueError: no steps, or a signal out of range.

    >>> [step for step, model in checkpoints([0, 2])]
    [0, 2]
    """
    if not steps:
        raise ValueError("no steps were given: name at least one")
    kept: list[tuple[int, GPT2LMHeadModel]] = []

    def keep(step: int, model: GPT2LMHeadModel) -> None:
        if step in steps:
            kept.append((step, copy.deepcopy(model).eval()))  # type: ignore[no-untyped-call]

    train(max(steps), signals=signals, at=keep, generator=generator)
    return kept


@torch.inference_mode()
def gaps(model: Any) -> Float[Tensor, " concept"]:
    """By how much the trained prompts' size, and colour, move the probability of the word that suits it.

    Small red against large red, and large blue against large red; a trained model has twice its signals.
    """
    ids = torch.tensor([[_IDS[w] for w in text.split()] for s, c in _TRAINED for text in _prompts(s, c)])
    said = torch.tensor([_IDS[_ANSWERS[0][s]] for s, _ in _TRAINED for _ in THINGS])
    p = model(torch.cat([ids, said[:, None]], 1)).logits[:, -2:].softmax(-1)
    suits = torch.stack([p[:, at, _IDS[_ANSWERS[at][1]]] for at in (0, 1)], 1)
    neither, small, blue = suits.view(3, len(THINGS), 2).mean(1)
    return torch.stack([small[0] - neither[0], blue[1] - neither[1]])


def learning_times(
    steps: int,
    *,
    signals: tuple[float, float] = (0.45, 0.45),
    masked: tuple[float, float] = (0.0, 0.0),
    fraction: float = 0.8,
    generator: int = 0,
) -> list[int | None]:
    """The first steps at which the gaps of size and colour are this fraction of what they become.

    None: not within so many steps.
    """
    times: list[int | None] = [None, None]

    def look(step: int, model: GPT2LMHeadModel) -> None:
        for concept, gap in enumerate(gaps(model).tolist()):
            if times[concept] is None and gap >= fraction * 2 * signals[concept]:
                times[concept] = step

    train(steps, signals=signals, masked=masked, at=look, generator=generator)
    return times


def _prompts(size: int, colour: int) -> list[str]:
    return prompts(SIZES[size], COLOURS[colour])


def _untrained(seed: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(_WORDS),
        n_embd=64,
        n_layer=2,
        n_head=4,
        n_positions=8,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        bos_token_id=_IDS["<end>"],
        eos_token_id=_IDS["<end>"],
    )
    with torch.random.fork_rng(devices=[]):  # it draws weights of its own
        model = GPT2LMHeadModel(config)
    rng = torch.Generator().manual_seed(seed + 1)
    for name, weights in model.named_parameters():
        if weights.ndim == 2:
            part = name.removeprefix("transformer.").split(".")[0]
            weights.data = _SPREADS[part] * torch.randn(weights.shape, generator=rng)
    return model


def _texts(
    signals: Float[Tensor, " concept"], masked: Float[Tensor, " concept"], rng: torch.Generator
) -> Int[Tensor, "text 6"]:
    """Texts as training sees them, each a prompt of four words and its answer of two."""
    values = torch.tensor(_TRAINED)[torch.randint(len(_TRAINED), (_BATCH,), generator=rng)]
    suits = torch.rand(_BATCH, 2, generator=rng) < 0.5 + signals
    unsaid = torch.rand(_BATCH, 2, generator=rng) < masked
    firsts = torch.tensor([_IDS[SIZES[0]], _IDS[COLOURS[0]]])
    said = torch.where(unsaid, _IDS[UNSAID], firsts + values)
    things = _IDS[THINGS[0]] + torch.randint(len(THINGS), (_BATCH, 1), generator=rng)
    answers = torch.tensor([_IDS[_ANSWERS[0][0]], _IDS[_ANSWERS[1][0]]]) + torch.where(
        suits, values, 1 - values
    )
    return torch.cat([said, things, torch.full((_BATCH, 1), _IDS["is"]), answers], 1)
