from collections.abc import Callable
from typing import Any

import pytest
import torch

from conceptscope.hooks import add_vector, bake, capture, intervene, mean_ablate, zero_ablate

Tiny = Callable[..., Any]


def test_a_head_writes_nothing(tiny: Tiny, acts_like: Callable[..., None], sentences: list[str]) -> None:
    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[:, 16:24] = 0
        return hidden

    path = "transformer.h.1.attn.c_proj"
    acts_like(tiny("gpt2"), zero_ablate("z.1.2"), path, edit, sentences[:4], reads="input")


def test_a_module_writes_nothing_from_the_last_token_on(
    tiny: Tiny, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        hidden[n - 1 :] = 0
        return hidden

    given = zero_ablate("mlp_out.1", positions="last|generated")
    acts_like(tiny("llama"), given, "model.layers.1.mlp", edit, sentences[:4])


def test_a_block_writes_nothing_but_its_biases(tiny: Tiny, sentences: list[str]) -> None:
    model = tiny("llama")
    with intervene(model, zero_ablate("z.1"), zero_ablate("mlp_out.1", positions="last")):
        acts = capture(model, sentences, ["resid_pre.1", "resid_post.1"])
    assert torch.equal(acts["resid_pre.1"], acts["resid_post.1"])


def test_it_is_zero_whatever_came_before(tiny: Tiny, sentences: list[str]) -> None:
    model = tiny("gpt2")
    infinite = add_vector("mlp_out.1", torch.full((32,), 3e38))
    with intervene(model, infinite, infinite, zero_ablate("mlp_out.1")):
        assert torch.equal(
            capture(model, sentences, "mlp_out.1")["mlp_out.1"], torch.zeros(len(sentences), 32)
        )


@pytest.mark.parametrize(("site", "shape"), [("mlp_out.1", (32,)), ("z.1", (4, 8)), ("z.1.2", (8,))])
def test_zeros_of_a_known_width_can_be_baked(
    site: str, shape: tuple[int, ...], tiny: Tiny, sentences: list[str]
) -> None:
    model = tiny("gpt2")
    zeros = mean_ablate(torch.zeros(1, *shape), site)
    with pytest.raises(
        ValueError, match=r"needs one: mean_ablate\(torch\.zeros\(1, d\), site\) does the same"
    ):
        bake(model, zero_ablate(site))
    ids = torch.tensor([model.tokenizer(sentences[0])["input_ids"]])
    with torch.no_grad(), intervene(model, zero_ablate(site)):
        expected = model.hf(ids).logits
    with torch.no_grad():
        assert torch.allclose(bake(model, zeros)(ids).logits, expected, atol=1e-4)


def test_what_is_no_site_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean"):
        zero_ablate("resid_pst.1")
    with pytest.raises(ValueError, match="unknown position"):
        zero_ablate("z.1", positions="lst")
