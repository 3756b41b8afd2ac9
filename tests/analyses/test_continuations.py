from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import conceptscope as cs
from conceptscope.analyses._continuations import (
    Continuation,
    continuations,
    expectations,
    surprise,
)
from conceptscope.hooks._generate import open_prompts, text_of
from conceptscope.hooks._prompts import Prompt

Tiny = Callable[..., Any]
DECODERS = ("gpt2", "gpt_neox", "llama", "gemma2", "opt", "bloom", "mamba", "mixtral", "gptj")


def encoded(model: Any, texts: list[str]) -> list[Prompt]:
    return open_prompts(model, texts)


@torch.no_grad()
def by_hand(model: Any, prompt: Prompt, written: Continuation) -> Tensor:
    """Log-probabilities at the continuation's steps, by one plain call with one text."""
    ids = torch.tensor([[*prompt.ids, *written.tokens]])
    start = len(prompt.ids) - 1
    logits: Tensor = model.hf(ids, use_cache=False).logits[0, start : start + written.steps]
    return logits.log_softmax(-1)


@pytest.mark.architectures(*DECODERS)
def test_expectations_are_those_of_one_text_at_a_time(
    architecture: str, tiny: Tiny, sentences: list[str]
) -> None:
    model = tiny(architecture)
    prompts = encoded(model, sentences)
    written = [Continuation(tuple(range(10, 10 + n)), ended=n < 6) for n in (6, 0, 3, 6, 5, 1, 2, 6, 4)]
    seen = []
    for expected in expectations(model, prompts, written):
        spent = surprise(model, expected, written)
        for line, row in enumerate(expected.rows):
            log_p = by_hand(model, prompts[row], written[row])
            assert expected.valid[line].sum() == written[row].steps
            assert torch.allclose(expected.log_p[line, : written[row].steps], log_p, atol=2e-5)
            ids = [*written[row].tokens, *[2] * written[row].ended]
            assert spent[line].item() == pytest.approx(-log_p[range(len(ids)), ids].mean().item(), abs=2e-5)
        seen += expected.rows
    assert sorted(seen) == list(range(len(sentences)))


def test_the_bridge_expects_the_same(tiny: Tiny, sentences: list[str]) -> None:
    found = []
    for backend in ("torch", "bridge"):
        model = tiny("gpt2", backend)
        written = [Continuation((10, 11, 12), ended=False)] * len(sentences)
        [expected] = expectations(model, encoded(model, sentences), written)
        found.append(expected.log_p)
    assert torch.allclose(*found, atol=1e-5)


def test_continuations_are_the_ones_of_generate(world: cs.HookedModel, prompts: list[str]) -> None:
    ids = encoded(world, prompts)
    written = continuations(world, ids, 7)
    texts = [text_of(world.tokenizer, p, one.tokens) for p, one in zip(ids, written, strict=True)]
    assert texts == cs.generate(world, prompts, max_new_tokens=7)
    assert {one.ended for one in written} == {True, False}
    assert all(one.steps == 7 for one in written if not one.ended)
    assert all(one.steps == len(one.tokens) + 1 <= 7 for one in written if one.ended)


def test_greedy_tokens_are_the_likeliest_at_their_steps(world: cs.HookedModel, prompts: list[str]) -> None:
    """The first pass, with a cache, and the second one, without, see the same text."""
    ids = encoded(world, prompts)
    written = continuations(world, ids, 12)
    for expected in expectations(world, ids, written):
        for line, row in enumerate(expected.rows):
            tokens = [*written[row].tokens, *[0] * written[row].ended]
            assert expected.logits[line, : written[row].steps].argmax(-1).tolist() == tokens


def test_given_tokens_count_as_generated_ones(world: cs.HookedModel, prompts: list[str]) -> None:
    ids = encoded(world, prompts[:2])
    written = [Continuation((10, 11, 12), ended=False)] * 2
    steps = []

    def note(x: Tensor, where: cs.Where) -> Tensor:
        steps.append(sorted(zip(where.example.tolist(), where.step.tolist(), strict=True)))
        return x

    with cs.intervene(world, cs.Intervention("resid_post.1", note, positions="last|generated")):
        list(expectations(world, ids, written))
    assert steps == [[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]]


def test_many_prompts_are_run_in_several_batches(world: cs.HookedModel, prompts: list[str]) -> None:
    ids = encoded(world, prompts * 40)
    written = [Continuation((10, 11, 12, 13, 14), ended=False)] * len(ids)
    batches = list(expectations(world, ids, written))
    assert len(batches) > 1
    last = batches[-1]
    for line in (0, len(last.rows) - 1):
        log_p = by_hand(world, ids[last.rows[line]], written[0])
        assert torch.allclose(last.log_p[line], log_p, atol=1e-4)


def test_what_cannot_be_continued_is_refused(tiny: Tiny) -> None:
    model = tiny("gpt2")
    with pytest.raises(ValueError, match=r"at most 1\d\d, got 128"):
        continuations(model, encoded(model, ["Yes", "She walked home."]), 128)
    with pytest.raises(ValueError, match="whole number from 1 on, got 0"):
        continuations(model, encoded(model, ["Yes"]), 0)
