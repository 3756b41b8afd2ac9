import pytest
import torch
from torch import nn

from conceptscope.hooks import load_model
from conceptscope.hooks._prompts import encode
from conceptscope.hooks._taps import ModuleTap


def forward(model, sentences):
    ids = torch.tensor([prompt.ids for prompt in encode(model, sentences[:1])] * 2)
    with torch.no_grad():
        return model.body(input_ids=ids).last_hidden_state


def seen_at(model, site, sentences):
    seen = []
    handle = model.tap(site).register(lambda tensor: seen.append(tensor))
    forward(model, sentences)
    handle.remove()
    return seen[0]


def test_a_tensor_has_batch_position_and_width(architecture, tiny, sentences):
    model = tiny(architecture)
    n = len(encode(model, sentences[:1])[0])
    for kind in model.kinds:
        found = seen_at(model, model.sites(kind)[-1], sentences)
        assert found.shape[:2] == (2, n)
        assert found.shape[2:] == ((4, found.shape[-1]) if kind == "z" else (found.shape[-1],))
        assert kind in ("z", "mlp_post") or found.shape[-1] == model.d_model


@pytest.mark.architectures("gpt2", "gpt_neox", "gemma2", "opt", "bloom", "falcon", "mixtral", "bert", "mamba")
def test_a_returned_tensor_replaces_the_site(architecture, tiny, sentences):
    model = tiny(architecture)
    before = forward(model, sentences)
    for kind in model.kinds:
        site = model.sites(kind)[-1]
        same = model.tap(site).register(lambda tensor: tensor.clone())
        assert torch.equal(forward(model, sentences), before), kind
        same.remove()
        other = model.tap(site).register(lambda tensor: tensor + torch.linspace(-1, 1, tensor.shape[-1]))
        assert (forward(model, sentences) - before).abs().max() > 1e-3, kind
        other.remove()
    assert torch.equal(forward(model, sentences), before)


def test_later_hooks_see_what_earlier_ones_made(tiny, sentences):
    model, seen = tiny("gpt2"), []
    plain = seen_at(model, "mlp_out.1", sentences)
    handles = [
        model.tap("mlp_out.1").register(lambda x: x * 2),
        model.tap("mlp_out.1").register(lambda x: x + 1),
        model.tap("mlp_out.1").register(seen.append),
    ]
    forward(model, sentences)
    for handle in handles:
        handle.remove()
    assert torch.allclose(seen[0], plain * 2 + 1)


def test_a_block_called_with_keywords_is_read_too():
    class Block(nn.Module):
        def forward(self, *, flag, hidden_states):
            return hidden_states * (2 if flag else 1)

    block, seen = Block(), []
    tap = ModuleTap(block, "input", name="resid_pre.0")
    tap.register(lambda tensor: tensor + 1)
    tap.register(seen.append)
    assert torch.equal(block(flag=True, hidden_states=torch.zeros(1, 2, 3)), torch.full((1, 2, 3), 2.0))
    assert torch.equal(seen[0], torch.ones(1, 2, 3))
    with pytest.raises(ValueError, match=r"'resid_pre.0': its module was called without a tensor"):
        block(flag=True, hidden_states=None)


def test_only_the_first_of_several_outputs_is_read_and_replaced(tiny, sentences):
    model, outputs = tiny("llama"), []
    attention = model.hf.model.layers[0].self_attn
    handle = model.tap("attn_out.0").register(torch.zeros_like)
    watch = attention.register_forward_hook(lambda module, args, output: outputs.append(output))
    forward(model, sentences)
    handle.remove()
    watch.remove()
    assert isinstance(outputs[0], tuple)
    assert not outputs[0][0].any()


def test_opts_flattened_mlp_is_folded_back_row_by_row(tiny, sentences):
    model, seen = tiny("opt"), []
    prompts = encode(model, [sentences[0], sentences[8]])
    width = min(map(len, prompts))
    ids = torch.tensor([prompt.ids[:width] for prompt in prompts])
    handle = model.tap("mlp_out.1").register(seen.append)
    with torch.no_grad():
        model.body(input_ids=ids)
        model.body(input_ids=ids[1:])
    handle.remove()
    assert torch.allclose(seen[0][1], seen[1][0], atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_removed_hooks_are_gone_and_may_be_removed_twice(tiny, sentences, backend):
    model = tiny("opt", backend)
    forward(model, sentences)  # the bridge puts up hooks of its own in its first pass
    before = [dict(m._forward_hooks) | dict(m._forward_pre_hooks) for m in model.hf.modules()]
    handle = model.tap("mlp_out.0").register(lambda tensor: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        forward(model, sentences)
    handle.remove()
    handle.remove()
    forward(model, sentences)
    assert [dict(m._forward_hooks) | dict(m._forward_pre_hooks) for m in model.hf.modules()] == before


def test_a_module_without_a_tensor_to_read_says_so(tiny, sentences):
    model = tiny("gpt2")
    handle = model.tap("transformer").register(lambda tensor: None)
    with pytest.raises(ValueError, match=r"'transformer' gives BaseModelOutput.*choose a module inside it"):
        forward(model, sentences)
    handle.remove()


def test_a_tensor_of_another_shape_says_so(build, sentences):
    hf, tokenizer = build("bert", "BertModel")
    model = load_model(hf, tokenizer=tokenizer)
    handle = model.tap("pooler").register(lambda tensor: None)
    with pytest.raises(ValueError, match=r"'pooler' gives a tensor of shape \(2, 32\)"):
        forward(model, sentences)
    handle.remove()
