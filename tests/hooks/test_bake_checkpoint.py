"""What the baked model is as a Hugging Face model: its class, config, dtype and files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from conceptscope.hooks import AffineEdit, HookedModel, Intervention, add_vector, bake, intervene

Build = Callable[..., Any]
IDS = torch.randint(7, 400, (2, 20), generator=torch.Generator().manual_seed(0))
VECTOR = torch.randn(32, generator=torch.Generator().manual_seed(1))
SCALING = AffineEdit(VECTOR, 0.3 * VECTOR[:, None], VECTOR[None] / 32)


@pytest.fixture
def untold(build: Build) -> Callable[..., HookedModel]:
    """``untold(name, model_class="", **config)``: a fresh model that knows of no special tokens."""

    def loaded(name: str, model_class: str = "", **config: Any) -> HookedModel:
        window = {"sliding_window": None} if name == "mistral" else {}
        return HookedModel(build(name, model_class, **(window | config))[0], None, name=name)

    return loaded


@torch.no_grad()
def outputs(hf: Any) -> Tensor:
    """Logits, or the hidden states of a model without a head."""
    tensor: Tensor = hf(IDS)[0]
    return tensor


def under_hooks(model: HookedModel, *interventions: Intervention) -> Tensor:
    with intervene(model, *interventions):
        return outputs(model.hf)


@pytest.mark.architectures("gpt2", "llama", "qwen2", "mistral", "falcon", "opt")
def test_it_is_saved_and_loaded_like_any_other(architecture: str, untold: Any, tmp_path: Path) -> None:
    model = untold(architecture)
    edits = [Intervention("embed", SCALING), add_vector("resid_post.1", VECTOR)]
    bake(model, *edits).save_pretrained(tmp_path)
    loaded, report = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, trust_remote_code=False, output_loading_info=True
    )
    assert not any(report.values())
    assert (outputs(loaded) - under_hooks(model, *edits)).abs().max() < 3e-5
    assert [did["site"] for did in loaded.config.conceptscope["interventions"]] == ["embed", "resid_post.1"]
    assert loaded.config.conceptscope["model"] == architecture


def test_embeddings_stay_tied_unless_they_change(untold: Any) -> None:
    model = untold("gpt2")
    unembedding = model.hf.lm_head.weight
    for edits, tied in (
        ([add_vector("embed", VECTOR), add_vector("resid_pre.0", VECTOR)], True),
        ([Intervention("z.0", AffineEdit(VECTOR))], True),
        ([Intervention("embed", SCALING)], False),
        ([Intervention("resid_pre.0", SCALING)], False),
    ):
        baked = bake(model, *edits)
        assert (baked.lm_head.weight is baked.transformer.wte.weight) == tied
        assert baked.config.tie_word_embeddings == tied
        assert torch.equal(baked.lm_head.weight, unembedding)
        assert (outputs(baked) - under_hooks(model, *edits)).abs().max() < 3e-5
    baked = bake(untold("llama", tie_word_embeddings=True), add_vector("embed", VECTOR))
    assert not baked.config.tie_word_embeddings  # there are no positions to add it to


@pytest.mark.parametrize("name", ["qwen2", "mistral"])
def test_llama_has_the_biases_that_others_lack(name: str, untold: Any) -> None:
    model = untold(name)
    for site, biased in (("attn_out.1", "self_attn.o_proj"), ("mlp_out.1", "mlp.down_proj")):
        baked = bake(model, add_vector(site, VECTOR))
        assert type(baked) is transformers.LlamaForCausalLM
        assert baked.config.architectures == ["LlamaForCausalLM"]
        assert baked.config.model_type == "llama"
        assert baked.config.attention_bias == (name == "qwen2" or site == "attn_out.1")
        assert baked.config.mlp_bias == (site == "mlp_out.1")
        added = {key for key in baked.state_dict() if key not in model.hf.state_dict()}
        full = {key for key in added if baked.state_dict()[key].any()}
        assert full == {f"model.layers.1.{biased}.bias"}
        assert torch.equal(baked.get_parameter(*full), VECTOR)


@pytest.mark.parametrize("name", ["qwen2", "mistral"])
def test_without_a_constant_it_stays_what_it_is(name: str, untold: Any) -> None:
    model = untold(name)
    turn = AffineEdit(torch.zeros(32), SCALING.up, SCALING.down)
    baked = bake(model, Intervention("attn_out.1", turn), Intervention("embed", SCALING))
    assert type(baked) is type(model.hf)
    assert not any(key not in model.hf.state_dict() for key in baked.state_dict())


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("gpt2", "GPT2Model", "GPT2Model"),
        ("gpt2", "GPT2ForSequenceClassification", "GPT2ForSequenceClassification"),
        ("mistral", "MistralModel", "LlamaModel"),
        ("qwen2", "Qwen2ForTokenClassification", "LlamaForTokenClassification"),
    ],
)
def test_other_heads_and_none(name: str, given: str, expected: str, untold: Any) -> None:
    model = untold(name, given)
    edit = add_vector("resid_post.1", VECTOR)
    baked = bake(model, edit)
    assert type(baked).__name__ == expected
    assert (outputs(baked) - under_hooks(model, edit)).abs().max() < 3e-5


def test_dtype_attention_name_and_generation_settings_are_kept(untold: Any) -> None:
    for name in ("gpt2", "qwen2"):
        model = untold(name)
        model.hf.to(torch.bfloat16).set_attn_implementation("eager")
        model.hf.generation_config.temperature = 0.25
        model.hf.name_or_path = "some/model"
        baked = bake(model, add_vector("resid_post.1", VECTOR), Intervention("mlp_out.0", SCALING))
        assert {tensor.dtype for tensor in baked.state_dict().values()} == {torch.bfloat16}
        assert baked.config._attn_implementation == "eager"
        assert baked.generation_config.temperature == 0.25
        assert baked.name_or_path == "some/model"


def test_half_precision_rounds_the_weights_only(untold: Any) -> None:
    model = untold("llama")
    model.hf.to(torch.bfloat16)
    edits = [add_vector("resid_post.1", VECTOR), Intervention("mlp_out.0", SCALING)]
    baked = bake(model, *edits)
    weight = model.hf.model.layers[0].mlp.down_proj.weight.double()
    exact = weight + SCALING.up.double() @ (SCALING.down.double() @ weight)
    assert torch.equal(baked.model.layers[0].mlp.down_proj.weight, exact.to(torch.bfloat16))
    assert torch.equal(baked.model.layers[1].mlp.down_proj.bias, VECTOR.to(torch.bfloat16))


def test_a_sliding_window_is_not_given_up(untold: Any) -> None:
    edit = add_vector("resid_post.1", VECTOR)
    windowed = {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 1}
    for name, config in (("mistral", {"sliding_window": 6}), ("qwen2", windowed)):
        model = untold(name, **config)
        with pytest.raises(
            ValueError, match=r"has no bias .* its sliding window of 6 tokens it cannot be wri"
        ):
            bake(model, edit)
        turn = Intervention("embed", SCALING)
        assert (outputs(bake(model, turn)) - under_hooks(model, turn)).abs().max() < 3e-5
    for name, config in (
        ("mistral", {"sliding_window": 128}),
        ("qwen2", windowed | {"max_window_layers": 3}),
    ):
        model = untold(name, **config)
        assert (outputs(bake(model, edit)) - under_hooks(model, edit)).abs().max() < 3e-5


def test_adapters_quantised_and_missing_weights_are_refused(untold: Any) -> None:
    edit = Intervention("attn_out.1", SCALING)

    model = untold("llama")
    model.hf.model.layers[0].mlp.up_proj.register_parameter("lora_A", nn.Parameter(torch.zeros(2, 32)))
    with pytest.raises(ValueError, match="not those of a plain LlamaForCausalLM in memory: merge adapters"):
        bake(model, edit)

    model = untold("llama")
    model.hf.model.layers[2].to("meta")
    with pytest.raises(ValueError, match="in memory: merge adapters into it, and load it without qu"):
        bake(model, edit)

    model = untold("llama")
    whole = torch.zeros(32, 32, dtype=torch.int8)
    model.hf.model.layers[1].self_attn.o_proj.weight = nn.Parameter(whole, requires_grad=False)
    with pytest.raises(ValueError, match=r"and load it without quantisation$"):
        bake(model, edit)
