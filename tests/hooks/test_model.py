import pytest
import torch

from conceptscope.hooks import KINDS, Site, load_model


def test_a_model_knows_its_measures(tiny):
    model = tiny("llama")
    assert (model.n_layers, model.n_heads, model.d_model) == (3, 4, 32)
    assert model.device == torch.device("cpu")
    assert model.backend == "torch"
    assert model.name == "LlamaForCausalLM"
    assert "LlamaForCausalLM, 3 layers, 4 heads, d_model 32, torch on cpu" in repr(model)


def test_every_architecture_has_the_same_measures(architecture, tiny):
    model = tiny(architecture)
    heads = 0 if architecture == "mamba" else 4
    assert (model.n_layers, model.n_heads, model.d_model) == (3, heads, 32)
    assert [str(site) for site in model.sites()] == ["resid_post.0", "resid_post.1", "resid_post.2"]
    assert model.generates == (architecture not in ("bert", "roberta", "distilbert", "electra"))


def test_kinds_are_in_the_order_of_a_forward_pass(tiny):
    kinds = tiny("gpt2").kinds
    assert set(kinds) == {*KINDS} - {"q", "k", "v"}
    assert list(kinds) == [kind for kind in KINDS if kind in kinds]
    assert tiny("mamba").kinds == ("embed", "resid_pre", "resid_post")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("resid_mid", ["resid_mid.0", "resid_mid.1", "resid_mid.2"]),
        ("embed", ["embed"]),
        ("resid_post.-1", ["resid_post.2"]),
        (Site("z", -3, 1), ["z.0.1"]),
        ("blocks.1.attn.hook_z", ["z.1"]),
        ("transformer.h.1.mlp", ["transformer.h.1.mlp"]),
        (["mlp_out.2", "embed", "mlp_out.-1", Site("mlp_out", 0)], ["mlp_out.2", "embed", "mlp_out.0"]),
        (["z", "resid_post.0"], ["z.0", "z.1", "z.2", "resid_post.0"]),
    ],
)
def test_sites_are_resolved_in_the_order_given_and_each_once(tiny, given, expected):
    assert [str(site) for site in tiny("gpt2").resolve_sites(given)] == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("resid_post.3", r"no site 'resid_post.3': GPT2LMHeadModel has the layers 0 to 2"),
        ("resid_post.-4", r"has the layers 0 to 2"),
        ("z.0.4", r"no site 'z.0.4': GPT2LMHeadModel has the heads 0 to 3"),
        ("resid_pst.1", r"did you mean 'resid_post.1'"),
        ("transformer.h.1.mpl", r"unknown site or module .* did you mean 'transformer.h.1.mlp'"),
        ("transformer.h.7", r"unknown site or module 'transformer.h.7'.*resid_post\.0 up to layer 2"),
        ([], r"no sites were given: there are embed"),
        ("q.0", r"backend='bridge'"),
    ],
)
def test_a_site_that_is_not_there_is_refused_with_what_there_is(tiny, given, message):
    with pytest.raises(ValueError, match=message):
        tiny("gpt2").resolve_sites(given)


def test_something_that_is_no_site_is_a_type_error(tiny):
    with pytest.raises(TypeError, match=r"expected a site like 'resid_post.6'"):
        tiny("gpt2").resolve_sites([6])


def test_tokens_are_those_of_one_text(tiny):
    with pytest.raises(TypeError, match="expected one text, got list"):
        tiny("gpt2").str_tokens(["a", "b"])


def test_sites_of_an_unknown_or_missing_kind_are_refused(tiny):
    with pytest.raises(ValueError, match="unknown kind of site 'resid': did you mean 'resid_"):
        tiny("gpt2").sites("resid")
    with pytest.raises(ValueError, match=r"MambaForCausalLM\) has no z: there are embed, resid_pre.0"):
        tiny("mamba").sites("z")
    with pytest.raises(ValueError, match="has no attn_out"):
        tiny("mamba").resolve_sites("attn_out.0")


def test_a_tap_is_refused_like_a_site(tiny):
    with pytest.raises(ValueError, match="has the layers 0 to 2"):
        tiny("gpt2").tap("resid_post.9")
    assert tiny("gpt2").tap("resid_post.-1").module is tiny("gpt2").hf.transformer.h[2]


def test_tokens_as_strings_join_to_the_text(tiny):
    text = "The dog was not happy about the rain."
    assert "".join(tiny("gpt2").str_tokens(text)) == text
    assert tiny("bert").str_tokens("dog")[0] == "[CLS]"
    assert tiny("llama").str_tokens("dog")[0] == "<s>"


def test_the_body_is_the_model_without_its_head(tiny, build):
    assert tiny("gpt2").body is tiny("gpt2").hf.transformer
    bare, tokenizer = build("bert", "BertModel")
    assert load_model(bare, tokenizer=tokenizer).body is bare
