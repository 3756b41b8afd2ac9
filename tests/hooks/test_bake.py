"""A baked model against the same model under hooks."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conceptscope.hooks import AffineEdit, HookedModel, Intervention, add_vector, bake, generate, intervene
from conceptscope.hooks import load_model as load

Tiny = Callable[..., Any]
Build = Callable[..., Any]
TOLERANCE = 3e-5
SHARED: dict[str, HookedModel] = {}
BAKED = (
    "gpt2",
    "llama",
    "qwen2",
    "mistral",
    "gpt_neox",
    "gptj",
    "gpt_neo",
    "opt",
    "phi",
    "falcon",
    "starcoder2",
)
WITHOUT_BIAS = ("qwen3", "phi3", "stablelm")
NORMED = ("gemma2", "gemma3", "olmo2")
OTHER_SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("gpt_neox", {"use_parallel_residual": False, "attention_bias": False}),
    ("stablelm", {"use_parallel_residual": True}),
    ("falcon", {"parallel_attn": False}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("llama", {"tie_word_embeddings": True, "attention_bias": True}),
    ("opt", {"enable_bias": False}),
    ("starcoder2", {"use_bias": False}),
]

pytestmark = pytest.mark.filterwarnings("ignore:the tokenizer adds <s>")


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def affine(d: int, rank: int = 2) -> AffineEdit:
    return AffineEdit(draw(d), 0.5 * draw(d, rank), draw(rank, d) / d**0.5)


def erasure(d: int, *, at: float = 0.0) -> AffineEdit:
    """Erases two orthogonal readings along a direction that is not theirs, to one value each."""
    reading = torch.linalg.qr(draw(d, 2).double()).Q.T
    steering = reading.T + 0.1 * draw(d, 2)
    up = steering @ torch.linalg.inv(reading @ steering)
    return AffineEdit(up @ torch.full((2,), at, dtype=torch.float64), -up, reading)


def everywhere(model: HookedModel, layers: int) -> list[str]:
    """All sites at which the residual stream can be read, up to the end of a block."""
    kinds = [kind for kind in ("resid_mid", "resid_post") if kind in model.kinds]
    return ["resid_pre.0", *(f"{kind}.{layer}" for layer in range(layers) for kind in kinds)]


def ordinary_ids(model: Any, *shape: int) -> Tensor:
    """Token ids without special ones."""
    return torch.randint(7, 400, shape, generator=torch.Generator().manual_seed(0))


def assert_baked(model: HookedModel, *interventions: Intervention, tolerance: float = TOLERANCE) -> Any:
    """The logits of the baked model are those under hooks, which differ from the plain ones."""
    ids = ordinary_ids(model, 2, 20)
    baked = bake(model, *interventions)
    with torch.no_grad():
        plain, got = model.hf(ids).logits, baked(ids).logits
        with intervene(model, *interventions):
            expected = model.hf(ids).logits
    assert (got - expected).abs().max() <= tolerance
    assert (plain - expected).abs().max() > 0.05
    return baked


@pytest.fixture
def fresh(build: Build) -> Callable[..., HookedModel]:
    """``fresh(name, **config)``: a model of the test's own; Mistral without its window."""

    def loaded(name: str, **config: Any) -> HookedModel:
        window = {"sliding_window": None} if name == "mistral" else {}
        model, tokenizer = build(name, **(window | config))
        return load(model, tokenizer=tokenizer)

    return loaded


@pytest.fixture
def plain(fresh: Callable[..., HookedModel]) -> Callable[[str], HookedModel]:
    """``plain(name)``: the same, shared by the tests."""

    def shared(name: str) -> HookedModel:
        if name not in SHARED:
            SHARED[name] = fresh(name)
        return SHARED[name]

    return shared


@pytest.mark.parametrize(
    "site", ["resid_post.1", "attn_out.1", "mlp_out.2", "resid_pre.1", "embed", "z.1", "mlp_post.0"]
)
@pytest.mark.architectures("gpt2", "llama", "qwen2", "mistral")
def test_a_vector_added_anywhere(architecture: str, site: str, plain: Any) -> None:
    model = plain(architecture)
    shape = {"z": (4, 8), "mlp_post": (128 if architecture == "gpt2" else 64,)}.get(site.split(".")[0], (32,))
    assert_baked(model, add_vector(site, draw(*shape)))


@pytest.mark.architectures(*BAKED)
def test_affine_edits_before_and_after_the_projections(architecture: str, plain: Any) -> None:
    model = plain(architecture)
    width = model.tap("mlp_post.0").module.weight.numel() // 32
    edits = [Intervention(site, affine(32)) for site in ("embed", "mlp_out.0", "attn_out.1", "attn_out.1")]
    edits += [Intervention("mlp_post.2", affine(width)), Intervention("resid_pre.0", affine(32))]
    assert_baked(model, *edits)


@pytest.mark.architectures(*BAKED, "qwen3", *NORMED)
def test_edits_of_heads_in_their_order(architecture: str, plain: Any) -> None:
    model = plain(architecture)
    d_head = model.tap("z.1").module.weight.numel() // 32 // 4
    sites = {"z.1.2": d_head, "z.1": 4 * d_head, "z.1.0": d_head, "z.0.3": d_head}
    edits = [Intervention(site, affine(width)) for site, width in sites.items()]
    assert_baked(model, *edits, edits[0], *edits[::-1])


@pytest.mark.architectures(*BAKED, *WITHOUT_BIAS)
def test_erasure_at_every_site(architecture: str, plain: Any) -> None:
    model = plain(architecture)
    baked = assert_baked(model, *(Intervention(s, erasure(32, at=0.7)) for s in everywhere(model, 3)))
    assert type(baked) is type(model.hf)


@pytest.mark.parametrize("layers", [0, 1, 2])
@pytest.mark.architectures("gpt2", "mistral")
def test_erasure_at_every_site_up_to_a_layer(architecture: str, layers: int, plain: Any) -> None:
    model = plain(architecture)
    assert_baked(model, *(Intervention(site, erasure(32)) for site in everywhere(model, layers)))


@pytest.mark.parametrize(("name", "config"), OTHER_SETTINGS)
def test_other_settings_of_an_architecture(name: str, config: dict[str, Any], fresh: Any) -> None:
    model = fresh(name, **config)
    assert_baked(model, Intervention("embed", affine(32)), Intervention("attn_out.1", erasure(32)))
    erased = [Intervention(site, erasure(32)) for site in everywhere(model, 3)]
    more = (
        [] if name == "stablelm" else [Intervention("attn_out.1", affine(32)), add_vector("z.0", draw(4, 8))]
    )
    assert_baked(model, *erased, *more)


@pytest.mark.architectures("gpt2", "llama", "qwen2", "mistral")
def test_steering_what_is_erased(architecture: str, plain: Any) -> None:
    """Where readings are known at a site, they can be set to other values there, and vectors be added."""
    model = plain(architecture)
    edits = [Intervention(site, erasure(32)) for site in everywhere(model, 3)]
    more = [
        add_vector("resid_mid.1", draw(32)),
        Intervention("resid_post.1", erasure(32, at=2.0)),
        Intervention("resid_post.2", erasure(32, at=-1.0)),
        Intervention("attn_out.2", affine(32)),
    ]
    assert_baked(model, *edits, *more)


def test_erasure_where_it_is_written_makes_readings_known(plain: Any) -> None:
    model = plain("llama")
    written = ["embed", *(f"{kind}.{layer}" for layer in range(3) for kind in ("attn_out", "mlp_out"))]
    edits = [Intervention(site, erasure(32, at=0.3)) for site in written]
    assert_baked(model, *edits)
    assert_baked(model, *edits, Intervention("resid_post.1", erasure(32, at=4.0)))
    with pytest.raises(ValueError, match=r"resid_post\.1.* cannot be baked: what earlier modules wrote"):
        bake(model, *edits[:3], *edits[4:], Intervention("resid_post.1", erasure(32)))


@pytest.mark.architectures("gpt_neox", "gptj", "phi", "falcon")
def test_a_parallel_block_keeps_a_constant_in_either_part(architecture: str, plain: Any) -> None:
    model = plain(architecture)
    assert_baked(model, add_vector("attn_out.1", draw(32)), add_vector("mlp_out.0", draw(32)))


def test_generation_with_a_cache(plain: Any, tokenizer_for: Any, sentences: list[str]) -> None:
    for name in ("gpt2", "llama", "qwen2", "mistral"):
        model = load(plain(name).hf, tokenizer=tokenizer_for("qwen2"))  # a tokenizer that adds nothing
        edits = [add_vector("resid_post.1", draw(32)), Intervention("attn_out.2", affine(32))]
        baked = load(bake(model, *edits), tokenizer=model.tokenizer)
        with intervene(model, *edits):
            expected = generate(model, sentences, max_new_tokens=12)
        assert generate(baked, sentences, max_new_tokens=12) == expected
        assert generate(model, sentences, max_new_tokens=12) != expected


def test_logits_under_the_models_own_generate(plain: Any) -> None:
    model, how = plain("llama"), {"max_new_tokens": 8, "do_sample": False, "output_logits": True}
    edits = [add_vector("mlp_out.1", draw(32)), Intervention("z.2", affine(32))]
    ids, how = ordinary_ids(model, 2, 9), how | {"return_dict_in_generate": True, "eos_token_id": None}
    with intervene(model, *edits):
        expected = model.hf.generate(ids, **how)
    got = bake(model, *edits).generate(ids, **how)
    assert torch.equal(got.sequences, expected.sequences)
    assert (torch.stack(got.logits) - torch.stack(expected.logits)).abs().max() <= TOLERANCE


def test_the_original_is_left_as_it_is(fresh: Any) -> None:
    for name in ("gpt2", "mistral"):
        model = fresh(name)
        before, config = copy.deepcopy(model.hf.state_dict()), model.hf.config.to_dict()
        with intervene(model, add_vector("resid_post.0", draw(32))):
            state = torch.random.get_rng_state()
            baked = bake(model, Intervention("embed", affine(32)), add_vector("resid_post.1", draw(32)))
            assert torch.equal(torch.random.get_rng_state(), state)
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.hf.state_dict().items())
        assert model.hf.config.to_dict() == config
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in baked.modules())
        kept = {tensor.data_ptr() for tensor in model.hf.state_dict().values()}
        assert kept.isdisjoint(tensor.data_ptr() for tensor in baked.state_dict().values())


def test_without_interventions_it_is_a_copy(plain: Any) -> None:
    model = plain("gpt2")
    baked = bake(model)
    assert all(torch.equal(baked.state_dict()[key], value) for key, value in model.hf.state_dict().items())
    assert not baked.training


def test_the_config_says_what_was_baked_and_what_before(plain: Any) -> None:
    model = plain("gpt2")
    once = bake(model, add_vector("resid_post.-1", draw(32)))
    twice = bake(load(once, tokenizer=model.tokenizer), Intervention("z.0.1", affine(8), name="turn"))
    assert twice.config.conceptscope["interventions"] == [
        {"name": "add", "site": "resid_post.2", "positions": "all"},
        {"name": "turn", "site": "z.0.1", "positions": "all"},
    ]
    assert twice.config.conceptscope["model"] == model.name
    assert len(once.config.conceptscope["interventions"]) == 1


def test_special_tokens_are_changed_too_and_this_is_said(plain: Any) -> None:
    model = plain("llama")
    edit = add_vector("resid_post.0", draw(32))
    with pytest.warns(UserWarning, match="the tokenizer adds <s> to a text: interventions leave such tokens"):
        baked = bake(model, edit)
    ids = torch.tensor([model.tokenizer("She walked home.")["input_ids"]])

    def at_every_token(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output + draw(32)

    with torch.no_grad():
        handle = model.hf.model.layers[0].register_forward_hook(at_every_token)
        expected = model.hf(ids).logits
        handle.remove()
        with intervene(model, edit):
            hooked = model.hf(ids).logits
        got = baked(ids).logits
    assert (got - expected).abs().max() <= TOLERANCE
    assert (got - hooked).abs().max() > 0.05


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_where_there_are_no_special_tokens(fresh: Any) -> None:
    model = fresh("gpt2")
    bake(model, add_vector("resid_post.0", draw(32)))
    bake(HookedModel(model.hf, None, name="without"), add_vector("resid_post.0", draw(32)))
    model.tokenizer.chat_template = "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}"
    with pytest.warns(UserWarning, match="the chat template adds special tokens to a text"):
        bake(model, add_vector("resid_post.0", draw(32)))


def test_only_interventions_of_this_model_at_its_sites(plain: Any) -> None:
    model = plain("gpt2")
    with pytest.raises(TypeError, match="expected interventions"):
        bake(model, draw(32))
    with pytest.raises(ValueError, match=r"no site 'resid_post\.7'"):
        bake(model, add_vector("resid_post.7", draw(32)))

    with pytest.raises(ValueError, match="made from a concept of 'another'"):
        bake(model, Intervention("resid_post.1", AffineEdit(draw(32), model_name="another")))


@pytest.mark.parametrize("positions", ["last", "generated", "prompt", 0, re.compile("a"), "all|last"])
def test_positions_other_than_all_are_refused(positions: Any, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="cannot be baked: weights act at every token"):
        bake(tiny("gpt2"), add_vector("resid_post.1", draw(32), positions))


def test_edits_that_are_not_affine_are_refused(tiny: Tiny) -> None:
    with pytest.raises(
        ValueError, match=r"'resid_post\.1'.* cannot be baked: its edit is not affine, or does"
    ):
        bake(tiny("gpt2"), Intervention("resid_post.1", lambda x, where: 2 * x))


def test_module_paths_are_refused(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="cannot be baked: a module path does not say"):
        bake(tiny("gpt2"), add_vector("transformer.h.1.mlp", draw(32)))


@pytest.mark.parametrize("site", ["resid_mid.0", "resid_post.0", "resid_pre.1", "resid_post.2"])
def test_an_affine_edit_at_one_residual_site_is_refused(site: str, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="cannot be baked: what earlier modules wrote passes by all weights"):
        bake(tiny("gpt2"), Intervention(site, erasure(32)))


@pytest.mark.parametrize("missing", range(1, 6))
def test_erasure_with_a_gap_is_refused(missing: int, tiny: Tiny) -> None:
    model = tiny("gpt2")
    sites = everywhere(model, 3)
    with pytest.raises(
        ValueError, match=rf"'{re.escape(sites[missing + 1])}'.* cannot be baked: what earlier"
    ):
        bake(model, *(Intervention(site, erasure(32)) for site in sites if site != sites[missing]))


@pytest.mark.architectures(*WITHOUT_BIAS)
def test_a_constant_where_there_is_no_bias_is_refused(architecture: str, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.down_proj: \w+ has no bias there"):
        bake(tiny(architecture), add_vector("resid_post.1", draw(32)))
    assert_baked(tiny(architecture), Intervention("embed", affine(32)))


@pytest.mark.architectures(*NORMED)
def test_what_passes_a_norm_is_refused(architecture: str, tiny: Tiny) -> None:
    for site in ("embed", "resid_pre.0", "attn_out.1", "resid_mid.1", "mlp_out.1", "resid_post.1"):
        with pytest.raises(ValueError, match="cannot be baked: the model norms what its modules write"):
            bake(tiny(architecture), add_vector(site, draw(32)))


@pytest.mark.parametrize(
    ("name", "config", "why"),
    [
        ("bert", {}, "its blocks norm the residual stream itself"),
        ("roberta", {}, "its blocks norm the residual stream itself"),
        ("distilbert", {}, "its blocks norm the residual stream itself"),
        ("electra", {}, "its blocks norm the residual stream itself"),
        ("bloom", {}, "its embeddings pass a norm"),
        ("mamba", {}, "it has neither attention nor MLP"),
        ("mixtral", {}, "a router decides at each token which experts write"),
        ("opt", {"do_layer_norm_before": False}, "with these settings it norms or projects"),
        ("opt", {"word_embed_proj_dim": 16}, "with these settings it norms or projects"),
        ("gpt2", {"add_cross_attention": True}, "how it writes to the residual stream is not known"),
    ],
)
def test_other_architectures_are_refused(name: str, config: dict[str, Any], why: str, fresh: Any) -> None:
    model = fresh(name, **config)
    with pytest.raises(ValueError, match=rf"{type(model.body).__name__} cannot be baked: {why}.*GPT2, GPTJ"):
        bake(model, add_vector("resid_post.1", draw(32)))


def test_a_class_of_the_same_name_is_not_trusted(fresh: Any) -> None:
    model = fresh("llama")
    model.hf.model.__class__ = type("LlamaModel", (type(model.hf.model),), {})
    with pytest.raises(ValueError, match="LlamaModel cannot be baked: how it writes"):
        bake(model, add_vector("resid_post.1", draw(32)))


def test_a_bridge_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"is inside a bridge.*load it with backend='torch'"):
        bake(tiny("gpt2", "bridge"), add_vector("resid_post.1", draw(32)))


@pytest.mark.parametrize("site", ["resid_post.1", "attn_out.1", "z.1", "z.1.2", "mlp_post.1", "embed"])
def test_edits_of_another_width_are_refused(site: str, tiny: Tiny) -> None:
    with pytest.raises(ValueError, match="edits activations of width 5, and those there have width"):
        bake(tiny("gpt2"), Intervention(site, affine(5)))
