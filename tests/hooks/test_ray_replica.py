import pickle
import threading

import pytest
import torch
from torch.utils.hooks import RemovableHandle

from conceptscope.hooks import Intervention, add_vector, capture, intervene, load_model
from conceptscope.hooks._aware import hooks_of, is_left_behind, only_aware_hooks

pytest.importorskip("ray")
from conceptscope.hooks._ray_replica import Replica

TEXTS = ["the dog ran home because it was cold", "she was not happy", "red"]
CPU = torch.device("cpu")


def again(model):
    """Through bytes, as Ray sends it."""
    return pickle.loads(pickle.dumps(Replica.of(model))).model(CPU)


def assert_same(model, other):
    found, expected = (capture(one, TEXTS, "resid_post", position="all") for one in (other, model))
    assert all(torch.equal(found[site], expected[site]) for site in expected)


@pytest.mark.architectures("gpt2", "llama", "gemma3", "bert", "opt")
def test_a_replica_computes_the_same(architecture, tiny):
    assert_same(tiny(architecture), again(tiny(architecture)))


def test_the_weights_stay_outside_the_bytes_and_are_shared(tiny):
    model = tiny("gpt2")
    replica = Replica.of(model)
    assert len(replica.pickled) < 200_000
    head, embedding = model.hf.get_output_embeddings(), model.hf.get_input_embeddings()
    other = replica.model(CPU).hf
    assert (other.get_output_embeddings().weight is other.get_input_embeddings().weight) == (
        head.weight is embedding.weight
    )
    weight = replica.model(CPU).hf.get_input_embeddings().weight
    assert weight.data_ptr() == other.get_input_embeddings().weight.data_ptr()


def test_what_lies_with_the_model_goes_where_the_replica_does(tiny):
    there = torch.device("meta")
    other = Replica.of(tiny("llama")).model(there)
    assert {tensor.device for tensor in [*other.hf.parameters(), *other.hf.buffers()]} == {there}
    assert other.device == there


def test_interventions_and_hooks_come_along(build):
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    plain = again(model)
    offset = torch.arange(32.0)
    scale = Intervention("resid_post.1", lambda x, where: x * (where.example[:, None] + offset.mean()))
    handle = hf.transformer.h[0].mlp.register_forward_hook(lambda module, args, output: 2 * output)
    with intervene(model, add_vector("resid_post.0", torch.ones(32), "last"), scale):
        changed = again(model)
        assert_same(model, changed)
    handle.remove()
    assert_same(model, plain)
    assert not torch.equal(capture(changed, TEXTS)["resid_post.1"], capture(model, TEXTS)["resid_post.1"])


def test_what_transformers_leaves_on_a_model_stays_behind(build):
    hf, tokenizer = build("llama")
    model = load_model(hf, tokenizer=tokenizer)
    with torch.inference_mode():
        states = hf(**tokenizer(TEXTS[:1], return_tensors="pt"), output_hidden_states=True).hidden_states
    assert len(states) > 1
    assert any(map(is_left_behind, hooks_of(hf)))
    assert_same(model, again(model))


def test_hooks_stay_where_other_hooks_are_numbered_anew(tiny, monkeypatch):
    model, number = tiny("gpt2"), RemovableHandle.next_id
    with intervene(model, add_vector("resid_post.0", torch.ones(32))):
        packed = pickle.dumps(Replica.of(model))
        expected = capture(model, TEXTS, "resid_post.0")["resid_post.0"]
    monkeypatch.setattr(RemovableHandle, "next_id", number)  # as in a process that has put up fewer hooks
    changed = pickle.loads(packed).model(CPU)
    for _ in range(10):
        assert torch.equal(capture(changed, TEXTS, "resid_post.0")["resid_post.0"], expected)


def test_hooks_of_ours_are_known_there_too(tiny):
    with intervene(tiny("llama"), add_vector("resid_post.0", torch.ones(32))):
        assert only_aware_hooks(again(tiny("llama")).hf)


def test_what_cannot_be_pickled_is_refused_in_a_sentence(tiny):
    lock = threading.Lock()

    def locked(x, where):
        with lock:
            return x

    with (
        intervene(tiny("gpt2"), Intervention("resid_post.0", locked)),
        pytest.raises(ValueError, match=r"cannot be sent to Ray's workers \(cannot pickle '_thread.lock'"),
    ):
        Replica.of(tiny("gpt2"))


def test_what_is_not_to_be_had_there_is_said(tiny, monkeypatch):
    import sys
    from types import ModuleType

    module = ModuleType("only_here")
    exec("def edit(x, where):\n    return x", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with intervene(tiny("gpt2"), Intervention("resid_post.0", module.edit)):
        replica = Replica.of(tiny("gpt2"))
    monkeypatch.delitem(sys.modules, "only_here")
    with pytest.raises(ValueError, match=r"cannot put together the model.*only_here.*: install there"):
        replica.model(CPU)


def test_hooks_on_all_modules_are_refused(tiny):
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *args: None)
    try:
        with pytest.raises(ValueError, match="hooks on all modules there are"):
            Replica.of(tiny("gpt2"))
    finally:
        handle.remove()


def test_a_model_that_is_spread_over_devices_is_refused(build):
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    hf.transformer.h[1].to("meta")
    with pytest.raises(ValueError, match="is spread over devices, and each of Ray's workers has it on one"):
        Replica.of(model)


def test_a_model_on_vllm_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(type(tiny("gpt2")), "backend", "vllm")
    with pytest.raises(ValueError, match="runs on vLLM, which spreads it over devices itself"):
        Replica.of(tiny("gpt2"))


def test_a_bridge_comes_along(build):
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer, backend="bridge")
    assert_same(model, again(model))
