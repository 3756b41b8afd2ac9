import logging
import warnings

import pytest
import torch
import transformers as hf

from conceptscope.hooks import capture, load_model
from conceptscope.hooks._names import Place, adapter_for, fitted_path, module_at, read_names


def test_places_are_those_of_the_adapter(tiny):
    names = read_names(tiny("gemma2").hf)
    assert names.blocks == "model.layers"
    assert names.embed == Place("model.embed_tokens", "output")
    assert names.places["resid_post"] == Place("", "output")
    assert names.places["resid_mid"] == Place("pre_feedforward_layernorm", "input")
    assert names.places["attn_out"] == Place("post_attention_layernorm", "output")
    assert names.places["z"] == Place("self_attn.o_proj", "input")


def test_a_module_that_transformer_lens_invents_is_left_out_of_the_path(tiny):
    assert read_names(tiny("opt").hf).places["mlp_out"] == Place("fc2", "output")


@pytest.mark.parametrize(
    ("family", "model_class", "blocks"),
    [
        ("gpt2", "GPT2Model", "h"),
        ("gpt2", "GPT2ForSequenceClassification", "transformer.h"),
        ("llama", "LlamaModel", "layers"),
        ("llama", "LlamaForTokenClassification", "model.layers"),
        ("opt", "OPTModel", "decoder.layers"),
        ("mamba", "MambaModel", "layers"),
        ("bert", "BertModel", "encoder.layer"),
        ("bert", "BertForSequenceClassification", "bert.encoder.layer"),
        ("roberta", "RobertaModel", "encoder.layer"),
        ("roberta", "RobertaForSequenceClassification", "roberta.encoder.layer"),
    ],
)
def test_another_head_or_none_has_the_same_names(build, family, model_class, blocks):
    names, usual = read_names(build(family, model_class)[0]), read_names(build(family)[0])
    assert names.blocks == blocks
    assert names.places == usual.places
    assert names.embed is not None


def test_a_mixture_of_experts_has_no_one_hidden_layer(tiny):
    assert "mlp_post" not in read_names(tiny("mixtral").hf).places
    with pytest.raises(ValueError, match="has no mlp_post"):
        tiny("mixtral").sites("mlp_post")


def test_an_unknown_architecture_has_the_stream_of_its_one_list_of_blocks(tiny):
    assert adapter_for(tiny("electra").hf) is None
    names = read_names(tiny("electra").hf)
    assert names.blocks == "electra.encoder.layer"
    assert set(names.places) == {"resid_pre", "resid_post"}
    assert tiny("electra").kinds == ("embed", "resid_pre", "resid_post")


def test_a_model_with_two_lists_of_blocks_has_module_paths_only(tokenizer_for):
    config = hf.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=400)
    model = load_model(hf.T5ForConditionalGeneration(config), tokenizer=tokenizer_for("llama"))
    assert model.kinds == ()
    with pytest.raises(ValueError, match="TransformerLens does not know its sites, and module paths"):
        model.sites("resid_post")
    assert model.resolve_sites("encoder.block.1")[0].is_module


def test_granites_sublayers_are_read_as_they_are_added(tokenizer_for, sentences):
    config = hf.GraniteConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=400,
        residual_multiplier=0.25,
    )
    model = load_model(hf.GraniteForCausalLM(config).eval(), tokenizer=tokenizer_for("llama"))
    acts = capture(model, sentences, ["resid_pre.1", "attn_out.1", "mlp_out.1", "resid_post.1"])
    total = acts["resid_pre.1"] + acts["attn_out.1"] + acts["mlp_out.1"]
    assert torch.allclose(acts["resid_post.1"], total, atol=1e-6)
    handle = model.tap("attn_out.1").register(lambda x: x + 1.0)
    moved = capture(model, sentences, ["resid_mid.1"])["resid_mid.1"]
    handle.remove()
    assert torch.allclose(moved, capture(model, sentences, ["resid_mid.1"])["resid_mid.1"] + 1.0, atol=1e-5)


def test_a_path_is_fitted_to_modules_that_exist(tiny):
    model = tiny("gpt2").hf
    assert fitted_path(model, "transformer.h") == "transformer.h"
    assert fitted_path(model, "h") == "transformer.h"
    assert fitted_path(model.transformer, "transformer.h") == "h"
    assert fitted_path(model, "decoder.layers") is None


def test_a_path_leads_to_a_module_or_to_nothing(tiny):
    model = tiny("gpt2").hf
    assert module_at(model, "") is model
    assert module_at(model, "transformer.h.1.mlp") is model.transformer.h[1].mlp
    for wrong in (
        "transformer.h.3",
        "transformer.h.x",
        "transformer.h.0.mlp.act.weight",
        "config",
        "nothing",
    ):
        assert module_at(model, wrong) is None


def test_importing_transformer_lens_leaves_logging_and_warnings_alone(tiny):
    level, filters = logging.getLogger("transformers").level, list(warnings.filters)
    adapter_for(tiny("gpt2").hf)
    assert logging.getLogger("transformers").level == level
    assert list(warnings.filters) == filters
