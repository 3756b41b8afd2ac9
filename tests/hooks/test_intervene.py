import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conceptscope.hooks import (
    Intervention,
    Where,
    add_vector,
    capture,
    generate,
    intervene,
    next_token_logits,
)

Tiny = Callable[..., Any]
SITE = "resid_post.1"
TEXT = "The dog was not happy about the rain."
BLOCKS = {
    "gpt2": "transformer.h.1",
    "llama": "model.layers.1",
    "gpt_neox": "gpt_neox.layers.1",
    "opt": "model.decoder.layers.1",
    "bert": "bert.encoder.layer.1",
    "mamba": "backbone.layers.1",
}
SPECIAL = (0, 1, 2, 4, 5)
RULES = ["all", "prompt", "generated", "last", "first", "last|generated", 0, -2, re.compile("e")]


def vector(scale: float = 2.0) -> Tensor:
    return scale * torch.randn(32, generator=torch.Generator().manual_seed(7))


def ids_of(model: Any, text: str = TEXT) -> Tensor:
    return torch.tensor([model.tokenizer(text)["input_ids"]])


def traces(model: Any) -> list[Any]:
    """Everything that an intervention might leave on a model."""
    roots = [model.hf] if model.backend == "torch" else [model.hf, model.bridge]
    hooks = [
        (name, list(hooks))
        for root in roots
        for name, module in root.named_modules()
        for hooks in (
            module._forward_hooks,
            module._forward_pre_hooks,
            module._forward_hooks_always_called,
            getattr(module, "fwd_hooks", ()),
        )
    ]
    return [*hooks, *("generate" in root.__dict__ for root in roots), model.hf.generation_config]


@contextmanager
def raw_addition(module: nn.Module, columns: Callable[[int], list[int]], v: Tensor) -> Iterator[None]:
    """A hand-written hook that adds v at some columns of a pass over so many."""

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, columns(hidden.shape[1])] += v
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def columns_of(rule: Any, model: Any, text: str) -> Callable[[int], list[int]]:
    """A rule for a text, written out by hand: the columns of an uncached pass over so many."""
    encoding = model.tokenizer(text, return_offsets_mapping=True)
    content = [i for i, token in enumerate(encoding["input_ids"]) if token not in SPECIAL]
    if isinstance(rule, int):
        return lambda width: [content[rule]]
    if isinstance(rule, re.Pattern):
        places = encoding["offset_mapping"]
        return lambda width: [i for i in content if rule.search(text[slice(*places[i])])]
    parts = {"all": content, "prompt": content, "first": content[:1], "last": content[-1:], "generated": []}
    fixed = sorted({i for word in rule.split("|") for i in parts[word]})
    goes_on = "all" in rule or "generated" in rule
    return lambda width: fixed + (list(range(len(encoding["input_ids"]), width)) if goes_on else [])


@torch.no_grad()
def by_hand(model: Any, block: nn.Module, text: str, rule: Any, v: Tensor, n: int) -> tuple[str, Tensor]:
    """The continuation and its logits, without a cache, without a batch and with a hand-written hook."""
    ids = ids_of(model, text)[0].tolist()
    before = model.tokenizer.decode(ids, skip_special_tokens=True)
    steps = []
    with raw_addition(block, columns_of(rule, model, text), v):
        for _ in range(n):
            steps.append(model.hf(torch.tensor([ids]), use_cache=False).logits[0, -1])
            ids.append(int(steps[-1].argmax()))
    end = next((i for i in range(len(ids) - n, len(ids)) if ids[i] == model.tokenizer.eos_token_id), len(ids))
    whole = model.tokenizer.decode(ids[:end], skip_special_tokens=True)
    return whole[len(before) :], torch.stack(steps)


@pytest.mark.architectures(*BLOCKS)
def test_it_does_what_a_raw_hook_does(architecture: str, tiny: Tiny) -> None:
    model, v = tiny(architecture), vector()
    ids, block = ids_of(model), model.hf.get_submodule(BLOCKS[architecture])
    with torch.no_grad():
        plain = model.hf(ids).logits
        for rule in ["all", "last", "first", 2, -3, "first|last"]:
            with raw_addition(block, columns_of(rule, model, TEXT), v):
                expected = model.hf(ids).logits
            with intervene(model, add_vector(SITE, v, rule)):
                got = model.hf(ids).logits
            assert torch.equal(got, expected)
            assert not torch.equal(got, plain)
        assert torch.equal(model.hf(ids).logits, plain)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_next_token_logits_are_those_of_a_raw_hook(
    name: str, backend: str, tiny: Tiny, sentences: list[str]
) -> None:
    plain, model, v = tiny(name), tiny(name, backend), vector()
    block = plain.hf.get_submodule(BLOCKS[name])
    with intervene(model, add_vector(SITE, v, "last")):
        got = next_token_logits(model, sentences)
    for row, text in enumerate(sentences):
        _, expected = by_hand(plain, block, text, "last", v, 1)
        assert torch.allclose(got[row], expected[0], atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "llama", "mamba"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_cache_changes_no_text(name: str, rule: Any, tiny: Tiny, sentences: list[str]) -> None:
    model, v = tiny(name), vector()
    block = model.hf.get_submodule(BLOCKS[name])
    prompts = [text for text in sentences if "e" in text][:4]
    with intervene(model, add_vector(SITE, v, rule)):
        got = generate(model, prompts, max_new_tokens=5)
    assert got == [by_hand(model, block, text, rule, v, 5)[0] for text in prompts]
    assert any(got)


@pytest.mark.parametrize("use_cache", [True, False])
@pytest.mark.parametrize("rule", [rule for rule in RULES if not isinstance(rule, re.Pattern)], ids=str)
def test_the_models_own_generate_gives_the_same_logits_with_and_without_a_cache(
    rule: Any, use_cache: bool, tiny: Tiny
) -> None:
    model, v = tiny("llama"), vector()
    with intervene(model, add_vector(SITE, v, rule)):
        out = model.hf.generate(
            ids_of(model),
            max_new_tokens=5,
            do_sample=False,
            use_cache=use_cache,
            eos_token_id=None,
            output_logits=True,
            return_dict_in_generate=True,
        )
    _, expected = by_hand(model, model.hf.get_submodule(BLOCKS["llama"]), TEXT, rule, v, 5)
    assert torch.allclose(torch.cat(out.logits), expected, atol=1e-5)


def test_beams_and_several_sequences_are_steered(tiny: Tiny) -> None:
    model = tiny("gpt2")
    settings: dict[str, Any] = {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 4}
    out = {}
    for use_cache in (True, False):
        with intervene(model, add_vector(SITE, vector(), "last|generated")):
            out[use_cache] = model.hf.generate(ids_of(model), use_cache=use_cache, **settings)
    assert torch.equal(out[True], out[False])
    assert not torch.equal(out[True], model.hf.generate(ids_of(model), **settings))


@pytest.mark.parametrize("feed", [1, 2])
def test_a_decoding_loop_by_hand_is_followed(feed: int, tiny: Tiny) -> None:
    """The rest of a text is fed with a cache, some tokens at a time: they count as generated."""
    model, v = tiny("gpt2"), vector()
    ids = ids_of(model)
    seen: list[Where] = []

    def edit(x: Tensor, where: Where) -> Tensor:
        seen.append(where)
        return x + v

    with torch.no_grad(), raw_addition(model.hf.transformer.h[1], lambda n: list(range(4, n)), v):
        expected = model.hf(ids).logits[:, 4:8]
    logits = []
    with torch.no_grad(), intervene(model, Intervention(SITE, edit, "generated")):
        cache = model.hf(ids[:, :4], use_cache=True).past_key_values
        for start in range(4, 8, feed):
            step = model.hf(ids[:, start : start + feed], past_key_values=cache, use_cache=True)
            cache = step.past_key_values
            logits.append(step.logits)
    assert torch.allclose(torch.cat(logits, 1), expected, atol=1e-5)
    assert torch.cat([where.step for where in seen]).tolist() == [1, 2, 3, 4]
    assert torch.cat([where.position for where in seen]).tolist() == [4, 5, 6, 7]
    moved = replace(seen[-1], example=seen[-1].example + 1)
    assert (moved.example.tolist()[-1], moved.position.tolist()[-1], moved.step.tolist()[-1]) == (1, 7, 4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_of_ones_own_is_read_from_its_mask(
    side: str, tiny: Tiny, sentences: list[str]
) -> None:
    model, v = tiny("llama"), vector()
    model.tokenizer.padding_side = side
    batch = model.tokenizer(sentences[:3], padding=True, return_tensors="pt")
    starts = [int(row.nonzero()[0]) for row in batch["attention_mask"]]
    ends = [int(row.nonzero()[-1]) for row in batch["attention_mask"]]
    positions = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        with intervene(model, add_vector(SITE, v, "first|last")):
            got = model.hf(
                **{k: batch[k] for k in ("input_ids", "attention_mask")}, position_ids=positions
            ).logits
        for row, text in enumerate(sentences[:3]):
            with raw_addition(model.hf.model.layers[1], lambda n: [1, n - 1], v):
                expected = model.hf(ids_of(model, text)).logits[0]
            assert torch.allclose(got[row, starts[row] : ends[row] + 1], expected, atol=1e-5)
    model.tokenizer.padding_side = "right"


def test_the_body_alone_is_followed_and_a_part_of_it_is_not(tiny: Tiny) -> None:
    model = tiny("gpt2")
    ids = ids_of(model)
    with torch.no_grad(), intervene(model, add_vector("resid_post.0", vector())):
        inside = model.hf.transformer(ids).last_hidden_state
        assert torch.equal(model.hf.lm_head(inside), model.hf(ids).logits)
        with pytest.raises(ValueError, match="cannot tell which tokens run"):
            model.hf.transformer.h[0](inside)
    assert not torch.equal(inside, model.hf.transformer(ids).last_hidden_state)


def test_embeddings_as_inputs_are_followed(tiny: Tiny) -> None:
    model = tiny("gpt2")
    ids = ids_of(model)
    with torch.no_grad(), intervene(model, add_vector(SITE, vector(), "last")):
        embedded = model.hf(inputs_embeds=model.hf.transformer.wte(ids)).logits
        assert torch.equal(embedded, model.hf(ids).logits)


def test_where_says_which_tokens_the_rows_are(tiny: Tiny, sentences: list[str]) -> None:
    """In the user's order, special tokens not counted, through a ragged batch and a cache."""
    model = tiny("llama")
    seen: set[tuple[int, int, int]] = set()

    def edit(x: Tensor, where: Where) -> Tensor:
        assert x.shape == (len(where.example), 32)
        rows = list(zip(where.example.tolist(), where.position.tolist(), where.step.tolist(), strict=True))
        assert not seen & set(rows)
        seen.update(rows)
        return x

    model.hf.generation_config.eos_token_id, ends = 399, model.hf.generation_config.eos_token_id
    with intervene(model, Intervention(SITE, edit, "all")):
        generate(model, sentences, max_new_tokens=4)
    model.hf.generation_config.eos_token_id = ends
    lengths = [len(model.tokenizer(text)["input_ids"]) - 1 for text in sentences]
    prompt = {(row, position, 0) for row, n in enumerate(lengths) for position in range(n)}
    made = {(row, n + step - 1, step) for row, n in enumerate(lengths) for step in (1, 2, 3)}
    assert seen == prompt | made


def test_an_edit_may_depend_on_where(tiny: Tiny, sentences: list[str]) -> None:
    """Patching: each example gets its own activation back, from another run."""
    model = tiny("gpt2")
    source = capture(model, sentences[::-1], SITE)[SITE]
    patch = Intervention(SITE, lambda x, where: source[where.example], "last")
    with intervene(model, patch):
        assert torch.equal(capture(model, sentences, SITE)[SITE], source)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("site", ["embed", "resid_pre.1", "attn_out.1", "mlp_out.0", "resid_post.2", "z.1"])
def test_it_acts_before_capture_and_leaves_other_tokens_bit_identical(
    site: str, backend: str, tiny: Tiny, sentences: list[str]
) -> None:
    model = tiny("llama", backend)
    before = capture(model, sentences, site, position="all")
    shape = before[site].shape[1:]
    v = vector().reshape(shape)
    with intervene(model, add_vector(site, v, "last")):
        after = capture(model, sentences, site, position="all")[site]
    last = torch.tensor([*(before.example[1:] != before.example[:-1]), True])
    assert torch.equal(after[~last], before[site][~last])
    assert torch.allclose(after[last], before[site][last] + v, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_a_head_alone_is_changed(backend: str, tiny: Tiny, sentences: list[str]) -> None:
    model, v = tiny("llama", backend), torch.ones(8)
    before = capture(model, sentences, "z.1")["z.1"]
    with intervene(model, add_vector("z.1.2", v)):
        after = capture(model, sentences, "z.1")["z.1"]
    expected = before.clone()
    expected[:, 2] += v
    assert torch.equal(after, expected)


@pytest.mark.architectures("gpt2", "llama", "gemma2", "opt", "bloom", "mixtral", "olmo2")
@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("kind", ["resid_pre", "attn_out", "resid_mid", "mlp_out"])
def test_a_change_goes_on_in_the_residual_stream(
    kind: str, backend: str, architecture: str, tiny: Tiny, sentences: list[str]
) -> None:
    """A residual stream is what was there before plus what attention and MLP write, changed or not."""
    model, v = tiny(architecture, backend), vector()
    sites = [f"{name}.1" for name in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")]
    with intervene(model, add_vector(f"{kind}.1", v, "last")):
        acts = capture(model, sentences[:3], sites)
    before, attention, middle, mlp, after = (acts[site] for site in sites)
    assert torch.allclose(middle - before - attention, v if kind == "resid_mid" else 0 * v, atol=1e-4)
    assert torch.allclose(after, middle + mlp, atol=1e-4)


def test_a_module_path_is_a_site(tiny: Tiny) -> None:
    model, v = tiny("gpt2"), vector()
    with intervene(model, add_vector("transformer.h.1.mlp", v)):
        by_path = next_token_logits(model, [TEXT])
    with intervene(model, add_vector("mlp_out.1", v)):
        assert torch.equal(next_token_logits(model, [TEXT]), by_path)


def test_interventions_compose_in_order(tiny: Tiny) -> None:
    model, v = tiny("gpt2"), vector()
    double = Intervention(SITE, lambda x, where: 2 * x)
    add = add_vector(SITE, v)
    plain = capture(model, [TEXT], SITE)[SITE]

    with intervene(model, double, add):
        given = capture(model, [TEXT], SITE)[SITE]
    with intervene(model, double), intervene(model, add):
        nested = capture(model, [TEXT], SITE)[SITE]
    with intervene(model, add), intervene(model, double):
        turned = capture(model, [TEXT], SITE)[SITE]
        assert not torch.equal(turned, nested)
    assert torch.equal(given, 2 * plain + v)
    assert torch.equal(nested, given)
    assert torch.equal(turned, 2 * (plain + v))


def test_the_inner_context_ends_before_the_outer(tiny: Tiny) -> None:
    model, v = tiny("gpt2"), vector()
    plain = next_token_logits(model, [TEXT])
    with intervene(model, add_vector(SITE, v)):
        outer = next_token_logits(model, [TEXT])
        with intervene(model, add_vector(SITE, -v)):
            assert torch.allclose(next_token_logits(model, [TEXT]), plain, atol=1e-5)
        assert torch.equal(next_token_logits(model, [TEXT]), outer)
        with torch.no_grad():
            assert torch.allclose(model.hf(ids_of(model)).logits[0, -1], outer[0], atol=1e-5)
    assert torch.equal(next_token_logits(model, [TEXT]), plain)


def test_different_rules_at_one_site(tiny: Tiny) -> None:
    model, v = tiny("gpt2"), vector()
    plain = capture(model, [TEXT], SITE, position="all")[SITE]
    with intervene(model, add_vector(SITE, v, "first"), add_vector(SITE, 2 * v, "last")):
        changed = capture(model, [TEXT], SITE, position="all")[SITE]
    expected = plain.clone()
    expected[0] += v
    expected[-1] += 2 * v
    assert torch.equal(changed, expected)


def test_another_model_may_run_inside_an_edit(tiny: Tiny) -> None:
    model, other = tiny("gpt2"), tiny("llama")
    source = Intervention(SITE, lambda x, where: x + capture(other, [TEXT], SITE)[SITE])
    with intervene(other, add_vector(SITE, vector())):
        steered = capture(other, [TEXT], SITE)[SITE]
        with intervene(model, source):
            got = capture(model, [TEXT], SITE)[SITE]
    assert torch.allclose(got, capture(model, [TEXT], SITE)[SITE] + steered, atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize(
    "run",
    [
        lambda model: generate(model, [TEXT, "Yes"], max_new_tokens=3),
        lambda model: capture(model, [TEXT]),
        lambda model: next_token_logits(model, [TEXT]),
        lambda model: model.hf(ids_of(model)),
        lambda model: model.hf.generate(ids_of(model), max_new_tokens=3),
    ],
    ids=["generate", "capture", "next_token_logits", "forward", "hf.generate"],
)
def test_no_hook_survives_a_failing_edit(
    run: Callable[[Any], object], error: type[BaseException], backend: str, tiny: Tiny
) -> None:
    model = tiny("gpt2", backend)
    before, plain = traces(model), next_token_logits(model, [TEXT])
    count = 0

    def fail(x: Tensor, where: Where) -> Tensor:
        nonlocal count
        count += 1
        if count == 2:
            raise error("in an edit")
        return x

    interventions = [Intervention(SITE, fail), Intervention(SITE, fail, "prompt")]
    with pytest.raises(error, match="in an edit"), intervene(model, *interventions):
        run(model)
    assert traces(model) == before
    assert torch.equal(next_token_logits(model, [TEXT]), plain)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_it_goes_on_after_a_failure_that_was_caught_inside(error: type[BaseException], tiny: Tiny) -> None:
    model = tiny("gpt2")
    raising = True

    def edit(x: Tensor, where: Where) -> Tensor:
        if raising:
            raise error
        return x + vector()

    with torch.no_grad(), intervene(model, Intervention(SITE, edit, "last")):
        for run in (model.hf, lambda ids: model.hf.generate(ids, max_new_tokens=2)):
            raising = True
            with pytest.raises(error):
                run(ids_of(model))
            raising = False
            got = model.hf(ids_of(model, "Yes she walked")).logits
    with torch.no_grad(), intervene(model, add_vector(SITE, vector(), "last")):
        assert torch.equal(got, model.hf(ids_of(model, "Yes she walked")).logits)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_no_hook_survives_a_registration_that_fails_half_way(
    backend: str, error: type[BaseException], tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("gpt2", backend)
    before, tap = traces(model), model.tap

    def failing_tap(site: Any) -> Any:
        if str(site) == "resid_post.2":
            raise error("half way")
        return tap(site)

    monkeypatch.setattr(model, "tap", failing_tap)
    interventions = [add_vector(SITE, vector()), add_vector("resid_post.2", vector())]
    with pytest.raises(error, match="half way"), intervene(model, *interventions):
        pass
    assert traces(model) == before


def test_a_failing_body_leaves_nothing(tiny: Tiny) -> None:
    model = tiny("gpt2")
    before = traces(model)
    with pytest.raises(ZeroDivisionError), intervene(model, add_vector(SITE, vector())):
        raise ZeroDivisionError
    assert traces(model) == before


@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_the_model_is_the_same_afterwards(backend: str, tiny: Tiny) -> None:
    model = tiny("gpt2", backend)
    before = traces(model)
    weights = {name: weight.clone() for name, weight in model.hf.state_dict().items()}
    with intervene(model, Intervention("embed", lambda x, where: x.zero_()), add_vector(SITE, vector())):
        assert "generate" in model.hf.__dict__
        generate(model, [TEXT], max_new_tokens=3)
    assert traces(model) == before
    assert all(torch.equal(weights[name], weight) for name, weight in model.hf.state_dict().items())


def test_the_bridges_own_calls_are_steered(tiny: Tiny) -> None:
    model, plain = tiny("gpt2", "bridge"), tiny("gpt2")
    ids = ids_of(model)
    with torch.no_grad():
        with intervene(plain, add_vector(SITE, vector(), "last")):
            expected = plain.hf(ids).logits
        with intervene(model, add_vector(SITE, vector(), "last")):
            assert torch.allclose(model.bridge(ids), expected, atol=1e-5)


@pytest.mark.parametrize("site", [SITE, "resid_mid.1", "z.1.2"])
def test_gradients_flow_through_a_forward_pass_of_ones_own(site: str, tiny: Tiny) -> None:
    model = tiny("gpt2")
    amount = torch.zeros(8 if site.startswith("z") else 32, requires_grad=True)
    with intervene(model, Intervention(site, lambda x, where: x + amount, "last")):
        model.hf(ids_of(model)).logits[0, -1, 5].backward()
    model.hf.zero_grad()
    assert amount.grad is not None
    step = 1e-2 * amount.grad / amount.grad.norm()
    with intervene(model, add_vector(site, step, "last")):
        up = next_token_logits(model, [TEXT])[0, 5]
    rise = (up - next_token_logits(model, [TEXT])[0, 5]).item()
    assert rise == pytest.approx((step @ amount.grad).item(), rel=0.05)


def test_the_batch_changes_no_steered_number(architecture: str, tiny: Tiny, sentences: list[str]) -> None:
    model, v = tiny(architecture), vector(0.5)
    rules = [add_vector("resid_post.0", v, "last"), add_vector(SITE, v), add_vector(SITE, v, -1)]
    with intervene(model, *rules):
        together = capture(model, sentences, "resid_post.2")["resid_post.2"]
        alone = [capture(model, [text], "resid_post.2")["resid_post.2"][0] for text in sentences]
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)


def test_what_cannot_be_done_is_refused(tiny: Tiny, sentences: list[str]) -> None:
    model = tiny("gpt2")
    before = traces(model)
    wrong: Any = vector()
    with pytest.raises(TypeError, match="expected interventions"), intervene(model, wrong):
        pass
    several: Any = [add_vector(SITE, vector())]
    with pytest.raises(TypeError, match=r"a list of them: write \*interventions"), intervene(model, several):
        pass
    with (
        pytest.raises(ValueError, match=r"resid_post\.9"),
        intervene(model, add_vector("resid_post.9", vector())),
    ):
        pass
    short = add_vector(SITE, vector(), 8)
    outside = r"position 8 is outside 'She walked home\.'"
    with pytest.raises(ValueError, match=outside), intervene(model, short):
        generate(model, sentences)
    pattern = add_vector(SITE, vector(), re.compile("dog"))
    with pytest.raises(ValueError, match="needs a text"), intervene(model, pattern):
        model.hf(ids_of(model))
    head = add_vector("lm_head", torch.ones(400))
    with pytest.raises(ValueError, match=r"lm_head has \[1, 1, 400\]"), intervene(model, head):
        generate(model, [TEXT])
    added = add_vector(SITE, vector())
    with pytest.raises(ValueError, match=r"input_ids of shape \[batch, pos"), intervene(model, added):
        model.hf()
    assert traces(model) == before
