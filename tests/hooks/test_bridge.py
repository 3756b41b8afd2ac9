import copy

import pytest
import torch
from transformers import AutoTokenizer

from conceptscope.hooks import capture, load_model

PROMISED = ("gpt2", "gpt_neox", "llama", "qwen2", "qwen3", "gemma2", "gemma3", "mistral", "opt", "bert")
ALSO = ("phi", "phi3", "mixtral", "olmo2", "falcon", "bloom", "gptj", "gpt_neo", "stablelm", "starcoder2")
OTHERS = ("mamba", "roberta")


def assert_same(got, expected, site):
    assert got.shape == expected.shape
    assert (got - expected).abs().max().item() <= 1e-5 * max(1.0, expected.abs().max().item()), str(site)


@pytest.mark.architectures(*PROMISED, *ALSO, *OTHERS)
def test_a_site_is_the_same_tensor_on_both_backends(architecture, tiny, sentences):
    model, bridged = tiny(architecture), tiny(architecture, "bridge")
    more = () if architecture == "mamba" else ("q", "k", "v")
    assert set(bridged.kinds) == {*model.kinds, *more}
    sites = model.resolve_sites(list(model.kinds))
    expected = capture(model, sentences, sites, position="all")
    found = capture(bridged, sentences, sites, position="all", batch_size=4)
    for site in sites:
        assert_same(found[site], expected[site], site)


def test_q_k_v_are_the_projections_of_attention(tiny, sentences):
    model, bridged = tiny("gpt2"), tiny("gpt2", "bridge")
    acts = capture(bridged, sentences, ["q.1", "k.1", "v.1", "v.1.2"])
    fused = capture(model, sentences, "transformer.h.1.attn.c_attn")["transformer.h.1.attn.c_attn"]
    for kind, part in zip("qkv", fused.chunk(3, dim=-1), strict=True):
        assert_same(acts[f"{kind}.1"], part.reshape(9, 4, 8), kind)
    assert torch.equal(acts["v.1.2"], acts["v.1"][:, 2])


def test_keys_and_values_have_the_heads_they_share(tiny, sentences):
    bridged = tiny("llama", "bridge")
    acts = capture(bridged, sentences, ["q.0", "k.0"])
    assert acts["q.0"].shape == (9, 4, 8)
    assert acts["k.0"].shape == (9, 2, 8)
    with pytest.raises(ValueError, match=r"no site 'k.0.2'.* heads 0 to 1"):
        bridged.resolve_sites("k.0.2")


@pytest.mark.architectures("gpt2", "llama", "bert", "mamba")
def test_a_live_model_is_copied_and_not_changed(architecture, build, sentences):
    hf, tokenizer = build(architecture)
    names, config = list(hf.state_dict()), copy.deepcopy(hf.config.to_dict())
    attention = hf.config._attn_implementation
    bridged = load_model(hf, tokenizer=tokenizer, backend="bridge")
    capture(bridged, sentences)
    assert list(hf.state_dict()) == names
    assert hf.config.to_dict() == config
    assert hf.config._attn_implementation == attention
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in hf.modules())
    assert bridged.tokenizer is tokenizer


def test_the_bridge_has_patterns_and_scores(tiny):
    bridged = tiny("gpt2", "bridge")
    _, cache = bridged.bridge.run_with_cache("The dog was not happy")
    pattern = cache["blocks.1.attn.hook_pattern"]
    assert pattern.shape[:2] == (1, 4)
    assert torch.allclose(pattern.sum(-1), torch.ones(()))


def test_a_bridge_of_the_users_own_is_used_as_it_is(save, tiny, sentences):
    from transformer_lens.model_bridge import TransformerBridge

    folder = save("llama")
    bridge = TransformerBridge.boot_transformers(
        str(folder), device="cpu", tokenizer=AutoTokenizer.from_pretrained(folder)
    )
    model = load_model(bridge)
    assert model.bridge is bridge
    assert model.backend == "bridge"
    found, expected = capture(model, sentences, "resid_post"), capture(tiny("llama"), sentences, "resid_post")
    assert_same(found["resid_post.2"], expected["resid_post.2"], "resid_post.2")


@pytest.mark.parametrize(
    ("family", "model_class"),
    [
        ("bert", "BertModel"),
        ("gpt2", "GPT2Model"),
        ("llama", "LlamaForSequenceClassification"),
        ("bert", "BertForSequenceClassification"),
        ("roberta", "RobertaModel"),
    ],
)
def test_a_class_without_the_language_head_can_be_bridged(build, sentences, family, model_class):
    hf, tokenizer = build(family, model_class)
    model = load_model(hf, tokenizer=tokenizer)
    bridged = load_model(hf, tokenizer=tokenizer, backend="bridge")
    assert type(bridged.hf).__name__ == model_class
    kinds = list(model.kinds)
    assert kinds == list(load_model(build(family)[0], tokenizer=tokenizer).kinds)
    expected, found = capture(model, sentences, kinds), capture(bridged, sentences, kinds)
    for site in expected:
        assert_same(found[site], expected[site], site)


def test_hooks_on_the_bridge_leave_nothing_behind(tiny, sentences):
    bridged = tiny("gpt2", "bridge")
    before = [len(point.fwd_hooks) for point in bridged.bridge.hook_dict.values()]
    capture(bridged, sentences, ["z", "q.0", "resid_mid"])
    assert [len(point.fwd_hooks) for point in bridged.bridge.hook_dict.values()] == before
    assert not any(point._forward_hooks for point in bridged.bridge.hook_dict.values())


def test_a_replaced_tensor_goes_on_through_the_bridge(tiny, sentences):
    model, bridged = tiny("llama"), tiny("llama", "bridge")
    found = []
    for each in (model, bridged):
        handle = each.tap("z.0").register(lambda z: z * torch.arange(4.0)[:, None])
        found.append(capture(each, sentences, "resid_post.2")["resid_post.2"])
        handle.remove()
    assert_same(found[1], found[0], "resid_post.2")
    plain = capture(bridged, sentences, "resid_post.2")["resid_post.2"]
    assert (plain - found[1]).abs().max() > 0.1


def test_a_model_that_transformer_lens_does_not_know_says_so(build):
    hf, tokenizer = build("electra")
    with pytest.raises(ValueError, match=r"no adapter for ElectraForMaskedLM.*use backend='torch'"):
        load_model(hf, tokenizer=tokenizer, backend="bridge")


def test_module_paths_lead_through_the_bridge_too(tiny, sentences):
    model, bridged = tiny("gpt2"), tiny("gpt2", "bridge")
    sites = ["transformer.h.1.mlp", "transformer.h.1.mlp.c_proj", "lm_head"]
    expected, found = capture(model, sentences, sites), capture(bridged, sentences, sites)
    for site in expected:
        assert_same(found[site], expected[site], site)


def test_q_on_plain_hooks_asks_for_the_bridge(tiny):
    with pytest.raises(ValueError, match="load the model with backend='bridge'"):
        tiny("gpt2").resolve_sites("q")
    with pytest.raises(AttributeError, match="backend='bridge'"):
        _ = tiny("gpt2").bridge


def test_the_model_inside_a_bridge_is_refused(tiny):
    bridged = tiny("gpt2", "bridge")
    with pytest.raises(ValueError, match="inside a TransformerBridge already: give load_model the bridge"):
        load_model(bridged.hf, tokenizer=bridged.tokenizer)
