import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.hooks import Activations, Where, add_vector, capture, intervene, patch

Tiny = Callable[..., Any]
SITE = "resid_post.1"
CLEAN = ["The dog was not happy.", "She walked home.", "Paris is the capital."]
CORRUPT = ["My sister sings and sings.", "He likes apples.", "Yesterday the children were in the garden."]


def where(example: list[int], position: list[int]) -> Where:
    return Where(torch.tensor(example), torch.tensor(position), torch.zeros(len(example), dtype=torch.long))


def test_one_row_each_goes_to_the_last_token(tiny: Tiny, acts_like: Callable[..., None]) -> None:
    model = tiny("llama")
    source = capture(model, CLEAN, SITE)

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[n - 1] = source[SITE][row]
        return hidden

    assert patch(source).positions == "last"
    acts_like(model, patch(source), "model.layers.1", edit, CORRUPT)


def test_one_row_each_may_go_to_every_generated_token(tiny: Tiny, acts_like: Callable[..., None]) -> None:
    model = tiny("gpt2")
    source = 3 * torch.randn(3, 32, generator=torch.Generator().manual_seed(0))

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[n - 1 :] = source[row]
        return hidden

    given = patch(source, SITE, positions="last|generated")
    acts_like(model, given, "transformer.h.1", edit, CORRUPT)


def test_rows_of_tokens_go_to_the_same_tokens(tiny: Tiny, acts_like: Callable[..., None]) -> None:
    model = tiny("llama")
    source = capture(model, CLEAN, SITE, position="all")

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[:2] = source[SITE][source.example == row][:2]
        return hidden

    two = [patch(source, positions=0), patch(source, positions=1)]
    acts_like(model, two, "model.layers.1", edit, CORRUPT)


@pytest.mark.parametrize(
    ("pattern", "corrupt", "rows"),
    [
        ("walked|sister", ["Yes walked on", "The sister sings"], 4),
        ("She|My", ["Yes She and She", "My My"], 2),
    ],
)
def test_a_pattern_is_matched_again(
    pattern: str, corrupt: list[str], rows: int, tiny: Tiny, acts_like: Callable[..., None]
) -> None:
    """Several tokens of a match go to the same ones, and a single one to every match."""
    model, rule = tiny("gpt2"), re.compile(pattern)
    source = capture(model, ["She walked home.", "My sister plays."], SITE, position=rule)
    found = capture(model, corrupt, SITE, position=rule)
    assert len(source.example) == rows

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[found.position[found.example == row]] = source[SITE][source.example == row]
        return hidden

    acts_like(model, patch(source), "transformer.h.1", edit, corrupt)


def test_a_head_alone_is_patched(tiny: Tiny, acts_like: Callable[..., None]) -> None:
    model = tiny("gpt2")
    source = capture(model, CLEAN, "z.1")

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[n - 1, 16:24] = source["z.1"][row, 2]
        return hidden

    given = patch(source, "z.1.2")
    acts_like(model, given, "transformer.h.1.attn.c_proj", edit, CORRUPT, reads="input")


@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("position", ["all", "last", "first", 1])
def test_a_run_patched_with_all_sites_of_itself_is_itself_and_of_another_the_other(
    backend: str, position: Any, tiny: Tiny
) -> None:
    """Of texts of one length, patched at every layer and token: nothing of the first run is left."""
    model = tiny("gpt2", backend)
    encoded = [model.tokenizer(text)["input_ids"] for text in CLEAN[:2]]
    texts = [model.tokenizer.decode(ids[:6]) for ids in encoded]
    acts = capture(model, texts, "resid_post", position=position)
    turned = acts[[*range(acts.n_rows // 2, acts.n_rows), *range(acts.n_rows // 2)]]
    with intervene(model, *(patch(turned, site) for site in turned)):
        got = capture(model, texts, "resid_post", position=position)
    assert all(torch.equal(got[site], turned[site]) for site in acts)


def test_the_last_one_counts_and_what_comes_before_is_overwritten(tiny: Tiny) -> None:
    model = tiny("gpt2")
    first, second = capture(model, CLEAN, SITE), capture(model, CLEAN[::-1], SITE)
    add = add_vector(SITE, torch.ones(32))
    with intervene(model, patch(first), add, patch(second)):
        assert torch.equal(capture(model, CORRUPT, SITE)[SITE], second[SITE])
    with intervene(model, patch(second), add):
        assert torch.equal(capture(model, CORRUPT, SITE)[SITE], second[SITE] + 1)


def test_examples_of_a_source_are_counted_from_its_first_row() -> None:
    acts = Activations({SITE: torch.arange(8.0).reshape(4, 2)}, source={"position": "last"})
    edit = patch(acts[[3, 1]]).edit
    assert edit(torch.zeros(2, 2), where([0, 1], [5, 9])).tolist() == [[6.0, 7.0], [2.0, 3.0]]


def test_half_precision_stays() -> None:
    edit = patch(torch.ones(1, 4), SITE, positions="last").edit
    assert edit(torch.zeros(1, 4, dtype=torch.bfloat16), where([0], [0])).dtype == torch.bfloat16


def test_what_has_no_counterpart_is_refused(tiny: Tiny) -> None:
    model = tiny("gpt2")
    tokens = capture(model, CLEAN[1:2], SITE, position="all")
    with (
        pytest.raises(ValueError, match=r"token 6 of example 0 has no counterpart in the source"),
        intervene(model, patch(tokens)),
    ):
        capture(model, ["She walked home."[:-1] + " and my dog"], SITE)
    with (
        pytest.raises(ValueError, match=r"example 1 has no counterpart: the source is of 1 example$"),
        intervene(model, patch(capture(model, CLEAN[:1], SITE))),
    ):
        capture(model, CORRUPT[:2], SITE)
    with (
        pytest.raises(ValueError, match=r"shape \(31,\) cannot take the place .* \(32,\)"),
        intervene(model, patch(torch.ones(1, 31), SITE, positions="last")),
    ):
        capture(model, CORRUPT[:1], SITE)


def test_a_text_of_one_token_that_was_captured_at_all_is_still_a_token(tiny: Tiny) -> None:
    model = tiny("gpt2")
    source = capture(model, ["Yes"], SITE, position="all")
    with pytest.raises(ValueError, match="token 1 of example 0"), intervene(model, patch(source)):
        capture(model, ["She walked"], SITE)


def test_what_is_no_source_is_refused(tiny: Tiny) -> None:
    acts = Activations(
        {SITE: torch.ones(2, 4), "resid_post.2": torch.ones(2, 4)}, source={"position": "last"}
    )
    with pytest.raises(ValueError, match="say which site: captured were resid_post"):
        patch(acts)
    with pytest.raises(KeyError, match="was not captured"):
        patch(acts, "resid_post.0")
    with pytest.raises(ValueError, match="name the site"):
        patch(torch.ones(2, 4))
    with pytest.raises(ValueError, match="give positions"):
        patch(torch.ones(2, 4), SITE)
    with pytest.raises(ValueError, match="give positions"):
        patch(capture(tiny("gpt2"), ["The dog"], SITE, position=re.compile("dog|" + "x" * 300)))
    with pytest.raises(TypeError, match="must be floats"):
        patch(torch.ones(2, 4, dtype=torch.long), SITE, positions="last")
    twice = Activations({SITE: torch.ones(3, 4)}, example=[0, 1, 1])
    with pytest.raises(ValueError, match="example 1 of the source has several rows for one token"):
        patch(twice, positions="last")


def test_another_model_must_be_meant(tiny: Tiny) -> None:
    model, other = tiny("gpt2"), tiny("llama")
    source = capture(other, CLEAN, SITE)
    with pytest.raises(ValueError, match="force=True"), intervene(model, patch(source)):
        pass
    with intervene(model, patch(source, force=True)):
        assert torch.equal(capture(model, CORRUPT, SITE)[SITE], source[SITE])
