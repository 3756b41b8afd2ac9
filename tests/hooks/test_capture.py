import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef

from conceptscope.hooks import (
    Examples,
    Site,
    capture,
    generate,
    intervene,
    load_model,
    next_token_logits,
)
from conceptscope.hooks._prompts import encode


def hooks_on(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.hf.modules())


def tokens_at(model, text, site):
    """Every token's activation by a plain hook, special tokens left out."""
    prompt, seen = encode(model, [text])[0], []
    handle = model.tap(site).register(seen.append)
    with torch.no_grad():
        model.hf(input_ids=torch.tensor([prompt.ids]))
    handle.remove()
    return seen[0][0, list(prompt.content)]


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize(("position", "index"), [("last", -1), ("first", 0), (-2, -2), (1, 1)])
def test_the_positions_asked_for_are_read(tiny, sentences, family, position, index):
    model, texts = tiny(family), [text for text in sentences if text != "Yes"]
    acts = capture(model, texts, "resid_post.1", position=position, batch_size=3)
    expected = torch.stack([tokens_at(model, text, "resid_post.1")[index] for text in texts])
    assert torch.allclose(acts["resid_post.1"], expected, atol=1e-5)
    assert acts.example.tolist() == list(range(8))


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_mean_is_over_the_tokens_that_are_not_special(tiny, sentences, family):
    model = tiny(family)
    acts = capture(
        model, sentences, ["resid_post.1", "z.0"] if family == "llama" else "resid_post.1", position="mean"
    )
    for site in acts:
        expected = torch.stack([tokens_at(model, text, site).mean(0) for text in sentences])
        assert torch.allclose(acts[site], expected, atol=1e-5)
    assert acts.position is None


def test_all_gives_a_row_for_each_token_and_a_text_is_a_group(tiny, sentences):
    model = tiny("bert")
    data = Examples(sentences[:3], ["a", "b", "c"])
    acts = capture(model, data, "resid_post.2", position="all", batch_size=2)
    expected = [tokens_at(model, text, "resid_post.2") for text in sentences[:3]]
    assert torch.allclose(acts["resid_post.2"], torch.cat(expected), atol=1e-5)
    lengths = [len(rows) for rows in expected]
    assert acts.example.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    assert acts.position.tolist() == [p for n in lengths for p in range(n)]
    assert acts.labels == ["abc"[i] for i in acts.example.tolist()]
    assert acts.groups == acts.example.tolist()


def test_a_pattern_that_matches_several_tokens_gives_a_row_for_each(tiny):
    model = tiny("gpt2")
    acts = capture(model, ["the dog and the dog", "a dog"], "embed", position=re.compile(" d"))
    assert acts.example.tolist() == [0, 0, 1]
    assert torch.equal(acts["embed"][0], acts["embed"][2])


def test_what_is_known_of_the_examples_travels_with_the_rows(tiny, sentences):
    data = Examples(
        sentences,
        list("abcabcabc"),
        groups=list("xxxyyyzzz"),
        contexts=torch.arange(18.0).view(9, 2),
        name="d",
    )
    acts = capture(tiny("gpt2"), data, "resid_post.0", batch_size=2)
    assert acts.labels == list("abcabcabc")
    assert acts.groups == list("xxxyyyzzz")
    assert torch.equal(torch.as_tensor(acts.contexts), data.contexts)
    assert acts.source["model_name"] == "GPT2LMHeadModel"
    assert acts.source["position"] == "last"
    assert acts.source["n_layers"] == 3


def test_many_kinds_in_one_pass_are_those_of_passes_of_their_own(tiny, sentences):
    model = tiny("llama")
    sites = ["resid_post.2", "z.0", "embed", "mlp_out.1", "model.layers.1.input_layernorm", "z.0.3", "z.0"]
    together = capture(model, sentences, sites)
    assert [str(site) for site in together] == sites[:-1]
    for site in sites:
        assert torch.equal(together[site], capture(model, sentences, site)[site])
    assert torch.equal(together["z.0.3"], together["z.0"][:, 3])


def test_a_head_alone_has_no_head_axis(tiny, sentences):
    acts = capture(tiny("llama"), sentences, ["z.1.2"])
    assert acts[Site("z", 1, 2)].shape == (9, 8)


def test_nothing_runs_after_the_last_site(tiny, sentences):
    model, ran = tiny("gpt2"), []
    watched = {
        "block": model.hf.transformer.h[1].mlp,
        "head": model.hf.lm_head,
        "norm": model.hf.transformer.ln_f,
    }
    handles = [m.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, m in watched.items()]
    capture(model, sentences, ["resid_mid.1", "embed"])
    assert ran == []
    capture(model, sentences, "mlp_out.1", batch_size=9)
    assert ran == ["block"]
    capture(model, sentences, batch_size=9)
    assert ran == ["block", "block"]
    for handle in handles:
        handle.remove()


def test_a_site_outside_the_body_runs_the_head(build, sentences):
    hf, tokenizer = build("llama", "LlamaForSequenceClassification", num_labels=3)
    model = load_model(hf, tokenizer=tokenizer)
    acts = capture(model, sentences, ["score", "resid_post.2"], batch_size=4)
    assert acts["score"].shape == (9, 3)
    with torch.no_grad():
        assert torch.allclose(hf.score(hf.model.norm(acts["resid_post.2"])), acts["score"], atol=1e-5)


def test_a_site_that_is_never_reached_says_so(build, sentences):
    hf, tokenizer = build("gpt2")
    hf.transformer.spare = torch.nn.Linear(2, 2)
    model = load_model(hf, tokenizer=tokenizer)
    before = hooks_on(model)
    with pytest.raises(ValueError, match=r"does not reach transformer\.spare"):
        capture(model, sentences, ["transformer.spare", "resid_post.0"])
    assert hooks_on(model) == before


@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_no_hook_survives_a_failure(tiny, sentences, failure, backend):
    model, calls = tiny("opt", backend), []
    capture(model, sentences[:1])  # the bridge puts up hooks of its own in its first pass
    before = hooks_on(model)

    def fail(tensor):
        calls.append(tensor)
        if len(calls) == 2:
            raise failure

    model.hf.train()
    handle = model.tap("resid_mid.1").register(fail)
    with pytest.raises(failure):
        capture(model, sentences, ["resid_post.2", "mlp_out.0", "z.1"], batch_size=2)
    handle.remove()
    assert hooks_on(model) == before
    assert model.hf.training
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    model.hf.eval()
    capture(model, sentences[:2], "resid_post.2")


def test_dropout_is_off_and_every_module_gets_its_mode_back(build, sentences):
    hf, tokenizer = build("gpt2", resid_pdrop=0.5, embd_pdrop=0.5)
    model = load_model(hf, tokenizer=tokenizer)
    expected = capture(model, sentences)["resid_post.2"]
    hf.train()
    hf.transformer.h[0].eval()
    modes = [module.training for module in hf.modules()]
    assert torch.equal(capture(model, sentences)["resid_post.2"], expected)
    assert [module.training for module in hf.modules()] == modes


def test_activations_can_be_trained_on(tiny, sentences):
    acts = capture(tiny("gpt2"), sentences, ["resid_post.2", "z.1"], position="mean")
    weight = torch.zeros(32, requires_grad=True)
    (acts["resid_post.2"] @ weight).sum().backward()
    assert weight.grad is not None
    assert not acts["z.1"].is_inference()
    assert not acts["z.1"].requires_grad


def test_a_hook_that_came_before_acts_before(tiny, sentences):
    model = tiny("gpt2")
    plain = capture(model, sentences, "resid_post.1")["resid_post.1"]
    handle = model.tap("resid_post.1").register(lambda tensor: tensor + 1)
    changed = capture(model, sentences, "resid_post.1")["resid_post.1"]
    handle.remove()
    assert torch.allclose(changed, plain + 1)


@pytest.mark.parametrize("position", ["last", "mean", "all"])
def test_no_more_than_a_batch_is_held_beyond_the_result(tiny, sentences, position):
    model, seen, held = tiny("gpt2"), [], []

    def note(tensor):
        seen.append(StorageWeakRef(tensor.untyped_storage()))

    def count(tensor):
        held.append(sum(not storage.expired() for storage in seen))

    sites = model.sites("resid_post")
    handles = [model.tap("embed").register(count), *(model.tap(site).register(note) for site in sites)]
    capture(model, sentences[:1] * 12, sites, position=position, batch_size=2)
    for handle in handles:
        handle.remove()
    assert len(seen) == 18
    assert held == [0] * 6


def test_half_precision_is_kept(build, sentences):
    hf, tokenizer = build("llama")
    model = load_model(hf.to(torch.bfloat16), tokenizer=tokenizer)
    for position in ("last", "mean"):
        assert capture(model, sentences, position=position)["resid_post.1"].dtype == torch.bfloat16


def test_a_bar_is_shown_only_when_asked_for(tiny, sentences, capfd):
    capture(tiny("gpt2"), sentences)
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    capture(tiny("gpt2"), sentences, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "100%" in err


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"examples": "one text"}, TypeError, r"write \['one text'\]"),
        ({"examples": []}, ValueError, "at least one text is needed"),
        ({"examples": {"text": ["a"]}}, TypeError, r"got a table \(dict\): write Examples\(table\['text'\]"),
        ({"examples": pd.DataFrame({"text": ["a"]})}, TypeError, r"got a table \(DataFrame\)"),
        ({"examples": {"a", "b"}}, TypeError, "expected a list of texts, got set"),
        ({"examples": ["good", ""]}, ValueError, "text 1 is empty"),
        ({"examples": ["long " * 200]}, ValueError, "tokens, and the model has positions for 128"),
        ({"sites": "resid_post.9"}, ValueError, "has the layers 0 to 2"),
        ({"sites": []}, ValueError, "no sites were given"),
        ({"sites": 3}, TypeError, "expected a site like 'resid_post.6', got 3"),
        ({"position": "-1"}, ValueError, "did you mean the integer -1"),
        ({"position": "lats"}, ValueError, "did you mean 'last'"),
        ({"position": "generated"}, ValueError, "a capture sees the prompt only"),
        ({"position": 50}, ValueError, "position 50 is outside"),
        ({"batch_size": 0}, ValueError, "batch_size must be a positive whole number"),
        ({"store": __file__}, ValueError, "is a file: give a folder"),
        ({"dtype": "bf8"}, ValueError, "dtype must be one of bf16"),
        ({"engine": "vllm"}, ValueError, "engine must be 'ray' or a RayEngine, got 'vllm'"),
        ({"engine": 2}, TypeError, "engine must be 'ray' or a RayEngine, got int"),
        ({"engine": "ray"}, ValueError, "Ray's workers write to a store: give store=folder"),
    ],
)
def test_what_cannot_be_captured_is_refused(tiny, arguments, error, message):
    before = hooks_on(tiny("gpt2"))
    with pytest.raises(error, match=message):
        capture(tiny("gpt2"), **{"examples": ["a dog"], **arguments})
    assert hooks_on(tiny("gpt2")) == before


def test_a_batch_size_may_be_a_number_of_numpys(tiny, sentences):
    found = capture(tiny("gpt2"), sentences, batch_size=np.int64(2))
    assert torch.allclose(found["resid_post.2"], capture(tiny("gpt2"), sentences)["resid_post.2"], atol=1e-5)


@pytest.mark.parametrize("given", ["gpt2", ["a dog"], None, torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_refused_by_every_verb(given):
    for verb in (
        lambda: capture(given, ["a dog"]),
        lambda: generate(given, ["a dog"]),
        lambda: next_token_logits(given, ["a dog"]),
        lambda: intervene(given).__enter__(),
    ):
        with pytest.raises(
            TypeError, match=f"as load_model gives it, got {type(given).__name__}: write load_"
        ):
            verb()
