"""What must hold on every architecture: the same numbers for any batch, order and padding side, and
what Hugging Face's own hidden states say."""

import pytest
import torch

from conceptscope.hooks import capture
from conceptscope.hooks._batches import pad
from conceptscope.hooks._inference import inference
from conceptscope.hooks._prompts import encode

PRE_NORM = (
    "gpt2",
    "llama",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma3",
    "mistral",
    "opt",
    "phi3",
    "mixtral",
    "olmo2",
)
PRE_NORM += ("bloom", "gpt_neo", "stablelm", "starcoder2")
PARALLEL = ("gpt_neox", "phi", "falcon", "gptj")
TOLERANCE = 1e-5


def read(model, inputs, sites):
    """What plain hooks see at the sites in one forward pass of the body."""
    seen, handles = {}, []
    for site in sites:
        handles.append(
            model.tap(site).register(lambda tensor, site=site: seen.update({site: tensor.clone()}))
        )
    with inference(model.hf):
        model.body(**inputs)
    for handle in handles:
        handle.remove()
    return seen


def one_at_a_time(model, prompts, sites):
    """For each prompt the tensors of its content tokens, from a forward pass of its own without padding."""
    found = []
    for prompt in prompts:
        seen = read(model, {"input_ids": torch.tensor([prompt.ids])}, sites)
        found.append({site: tensor[0, list(prompt.content)] for site, tensor in seen.items()})
    return found


def assert_same(got, expected, site):
    scale = max(1.0, expected.abs().max().item())
    assert (got - expected).abs().max().item() <= TOLERANCE * scale, str(site)


def test_padding_on_either_side_changes_no_number(architecture, tiny, sentences):
    model = tiny(architecture)
    sites = model.resolve_sites(list(model.kinds))
    prompts = encode(model, sentences)
    expected = one_at_a_time(model, prompts, sites)
    for side in ("right", "left"):
        batch = pad(model, prompts, side)
        seen = read(model, batch.inputs, sites)
        for row, (prompt, start) in enumerate(zip(prompts, batch.starts, strict=True)):
            columns = [start + index for index in prompt.content]
            for site in sites:
                assert_same(seen[site][row, columns], expected[row][site], (side, site))


def test_batch_size_and_order_change_no_number(architecture, tiny, sentences):
    model = tiny(architecture)
    sites = model.resolve_sites(list(model.kinds))
    expected = one_at_a_time(model, encode(model, sentences), sites)
    orders = [list(range(9)), list(range(9))[::-1], [4, 0, 8, 2, 6, 1, 7, 3, 5]]
    for order in orders:
        for batch_size in (1, 2, 4, None):
            acts = capture(model, [sentences[i] for i in order], sites, batch_size=batch_size)
            for site in sites:
                assert_same(acts[site], torch.stack([expected[i][site][-1] for i in order]), site)


def test_the_residual_stream_is_what_hugging_face_calls_hidden_states(architecture, tiny, sentences):
    model = tiny(architecture)
    prompt = encode(model, sentences[:1])[0]
    acts = capture(model, sentences[:1], ["resid_pre", "resid_post"], position="all")
    with inference(model.hf):
        states = model.body(input_ids=torch.tensor([prompt.ids]), output_hidden_states=True).hidden_states
    skipped = 1 if architecture == "mamba" else 0  # Mamba's begin after the first block
    for layer in range(1, model.n_layers):
        expected = states[layer - skipped][0, list(prompt.content)]
        assert_same(acts[f"resid_pre.{layer}"], expected, layer)
        assert_same(acts[f"resid_post.{layer - 1}"], expected, layer)


@pytest.mark.architectures(*PRE_NORM)
def test_a_block_adds_its_attention_and_then_its_mlp(architecture, tiny, sentences):
    model = tiny(architecture)
    acts = capture(model, sentences, ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"])
    for layer in range(model.n_layers):
        middle = acts[f"resid_pre.{layer}"] + acts[f"attn_out.{layer}"]
        assert_same(acts[f"resid_mid.{layer}"], middle, layer)
        assert_same(acts[f"resid_post.{layer}"], middle + acts[f"mlp_out.{layer}"], layer)


@pytest.mark.architectures(*PARALLEL)
def test_a_parallel_block_adds_both_and_has_no_middle(architecture, tiny, sentences):
    model = tiny(architecture)
    acts = capture(model, sentences, ["resid_pre", "attn_out", "mlp_out", "resid_post"])
    for layer in range(model.n_layers):
        total = sum(acts[f"{kind}.{layer}"] for kind in ("resid_pre", "attn_out", "mlp_out"))
        assert_same(acts[f"resid_post.{layer}"], total, layer)
    with pytest.raises(ValueError, match=r"has no resid_mid: there are .*resid_pre\.0"):
        model.sites("resid_mid")


@pytest.mark.architectures("gpt2", "llama", "gemma3", "opt", "bloom", "gpt_neox", "bert", "roberta")
def test_z_times_the_output_projection_is_what_attention_gives(architecture, tiny, sentences):
    model = tiny(architecture)
    projections = {
        "gpt2": "transformer.h.1.attn.c_proj",
        "llama": "model.layers.1.self_attn.o_proj",
        "gemma3": "model.layers.1.self_attn.o_proj",
        "opt": "model.decoder.layers.1.self_attn.out_proj",
        "bloom": "transformer.h.1.self_attention.dense",
        "gpt_neox": "gpt_neox.layers.1.attention.dense",
        "bert": "bert.encoder.layer.1.attention.output.dense",
        "roberta": "roberta.encoder.layer.1.attention.output.dense",
    }
    path = projections[architecture]
    acts = capture(model, sentences, ["z.1", "mlp_post.1", path])
    assert acts["z.1"].shape == (9, 4, 16 if architecture == "gemma3" else 8)
    assert acts["mlp_post.1"].shape == (9, 128 if architecture in ("gpt2", "bloom") else 64)
    with torch.no_grad():
        assert_same(model.hf.get_submodule(path)(acts["z.1"].flatten(1)), acts[path], path)
