import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.analyses import overprompt, repeat_spans
from conceptscope.hooks import Examples, capture, intervene, load_model


@pytest.mark.architectures("gpt2", "llama", "gemma2", "bert")
def test_scales_the_embeddings_of_the_spans_and_no_others(
    tiny: Callable[..., Any], architecture: str
) -> None:
    model, data = tiny(architecture), Examples(["The dog was not happy."], spans=[(4, 7)])
    before = capture(model, data, "embed", position="all")
    inside = capture(model, data, "embed", position="span").position
    with intervene(model, overprompt(2.5)):
        after = capture(model, data, "embed", position="all")
    assert inside is not None
    assert before.position is not None
    scaled = torch.isin(torch.as_tensor(before.position), torch.as_tensor(inside))
    assert 0 < scaled.sum() < len(scaled)
    torch.testing.assert_close(after["embed"][scaled], 2.5 * before["embed"][scaled])
    assert torch.equal(after["embed"][~scaled], before["embed"][~scaled])


def test_a_factor_of_one_changes_nothing_and_positions_may_be_a_pattern() -> None:
    model, text = load_model(), ["the dog was big ."]
    plain = capture(model, text, "resid_post.-1")["resid_post.3"]
    for factor, same in ((1.0, True), (3.0, False)):
        with intervene(model, overprompt(factor, re.compile("big"))):
            assert torch.equal(capture(model, text, "resid_post.-1")["resid_post.3"], plain) == same


def test_repeated_spans_are_said_so_often_and_cover_all_of_it() -> None:
    data = Examples(
        ["a small blue cup", "very"], ["yes", "no"], spans=[[(8, 12), (2, 7)], (0, 4)], groups=["a", "b"]
    )
    twice = repeat_spans(data, 2)
    assert twice.texts == ["a small small blue blue cup", "very very"]
    assert twice.spans is not None
    shown = [[text[a:b] for a, b in spans] for text, spans in zip(twice.texts, twice.spans, strict=True)]
    assert shown == [["small small", "blue blue"], ["very very"]]
    assert (twice.labels, twice.groups) == (["yes", "no"], ["a", "b"])
    assert repeat_spans(data, 1).texts == data.texts


def test_refuses() -> None:
    with pytest.raises(ValueError, match="the factor of an overprompt must be finite, got nan"):
        overprompt(float("nan"))
    with pytest.raises(ValueError, match="times must be a whole number from 1 on, got 0"):
        repeat_spans(Examples(["a"], spans=[(0, 1)]), 0)
    with pytest.raises(ValueError, match="example 1 has no span"):
        repeat_spans(Examples(["a", "b"], spans=[(0, 1), None]), 2)
    chat = Examples([[{"role": "user", "content": "a"}]])
    with pytest.raises(ValueError, match="example 0 is a chat"):
        repeat_spans(chat, 2)
