from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from conceptscope.hooks import (
    Intervention,
    Where,
    add_vector,
    bake,
    capture,
    generate,
    intervene,
    load_model,
    next_token_logits,
    schedule,
)
from conceptscope.probes import Concept, when

EARLY, SITE, LATE = "resid_post.0", "resid_post.1", "resid_post.2"
V = 3 * torch.randn(32, generator=torch.Generator().manual_seed(7))


def condition(site: str = EARLY, **parts: Any) -> Concept:
    """Reads about zero on average."""
    return Concept(torch.randn(1, 32, generator=torch.Generator().manual_seed(3)), site=site, **parts)


@contextmanager
def watched(module: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What a module last gave out, by a hook of one's own."""
    last: list[torch.Tensor] = []

    def see(module: Any, args: Any, output: Any) -> None:
        last[:] = [output[0] if isinstance(output, tuple) else output]

    handle = module.register_forward_hook(see)
    try:
        yield last
    finally:
        handle.remove()


def some_fire(model: Any, prompts: list[str], at: str = "all") -> float:
    """A threshold that about half of the prompts' readings are above, and none is near."""
    return between(condition().read(capture(model, prompts, EARLY, position=at))[:, 0])


def between(readings: torch.Tensor) -> float:
    ordered = readings.sort().values
    return ordered[len(ordered) // 2 - 1 :][:2].mean().item()


@pytest.mark.parametrize("rule", ["all", "last|generated"])
def test_each_token_is_read_at_an_earlier_site(
    rule: str, tiny: Any, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    model, prompts = tiny("llama"), sentences[:4]
    threshold = some_fire(model, prompts)
    with watched(model.hf.model.layers[0]) as seen:

        def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
            fires = condition().read(seen[0][0, 1:])[:, 0] > threshold
            fires[: 0 if rule == "all" else n - 1] = False
            return hidden + fires[:, None] * V

        given = when(condition(), threshold, add_vector(SITE, V, rule))
        acts_like(model, given, "model.layers.1", edit, prompts)


def test_at_its_own_site_it_reads_what_it_would_change(
    tiny: Any, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    model = tiny("gpt2")
    concept = condition(SITE)

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        return torch.where(concept.read(hidden) > 1, hidden - concept.read(hidden) * concept.vector, hidden)

    acts_like(model, when(concept, 1.0, concept.set(0.0)), "transformer.h.1", edit, sentences[:4])
    with intervene(model, when(concept, 1.0, concept.set(0.5))):
        got = concept.read(capture(model, sentences, SITE, position="all"))
    before = concept.read(capture(model, sentences, SITE, position="all"))
    expected = torch.where(before > 1, 0.5, before)
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("at", ["last", "first", "mean", "all", 1])
def test_a_prompt_decides_for_all_that_follows(
    at: Any, tiny: Any, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    model, prompts = tiny("gpt2"), [text for text in sentences if " " in text][:6]
    threshold = some_fire(model, prompts, "mean" if at == "all" else at)
    with watched(model.hf.transformer.h[0]) as seen:
        opened: list[bool] = []

        def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
            readings = condition().read(seen[0][0, :n])[:, 0]
            chosen = {"last": readings[-1], "first": readings[0]}.get(at, readings.mean())
            opened.append(bool((readings[1] if at == 1 else chosen) > threshold))
            return hidden + opened[-1] * V

        given = when(condition(), threshold, add_vector(SITE, V), at=at)
        acts_like(model, given, "transformer.h.1", edit, prompts)
        assert len(set(opened)) == 2


def test_generated_tokens_may_depend_on_a_later_site_of_the_prompt(tiny: Any, sentences: list[str]) -> None:
    model, late = tiny("gpt2"), condition(LATE)
    readings = late.read(capture(model, sentences, LATE))[:, 0]
    threshold = between(readings)
    add = add_vector(SITE, V, "generated")
    plain = generate(model, sentences, max_new_tokens=5)
    with intervene(model, add):
        steered = generate(model, sentences, max_new_tokens=5)
    with intervene(model, when(late, threshold, add, at="last")):
        got = generate(model, sentences, max_new_tokens=5)
    fires = (readings > threshold).tolist()
    assert got == [b if fire else a for a, b, fire in zip(plain, steered, fires, strict=True)]
    assert got not in (plain, steered)


@pytest.mark.parametrize("at", [None, "last"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_a_loop_of_ones_own_is_followed(at: Any, use_cache: bool, tiny: Any) -> None:
    model = tiny("llama")
    ids = torch.tensor([model.tokenizer("The dog was not happy about the rain.")["input_ids"]])
    threshold = -10.0 if at else 0.0
    settings: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    with intervene(model, when(condition(), threshold, add_vector(SITE, V, "last|generated"), at=at)):
        out = model.hf.generate(ids, use_cache=use_cache, **settings)
        other = model.hf.generate(ids, use_cache=not use_cache, num_beams=1, **settings)
        beams = [model.hf.generate(ids, use_cache=c, num_beams=3, **settings) for c in (True, False)]
    assert torch.equal(out, other)
    assert torch.equal(*beams)
    assert not torch.equal(out, model.hf.generate(ids, **settings))


def test_nothing_is_remembered_from_one_context_or_call_to_the_next(tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")
    readings = condition().read(capture(model, sentences, EARLY))[:, 0]
    threshold = between(readings)
    fires = readings > threshold
    given = when(condition(), threshold, add_vector(SITE, V), at="last")
    plain = capture(model, sentences, SITE)[SITE]
    for _ in range(2):
        with intervene(model, given):
            for order in ([*range(len(sentences))], [*range(len(sentences))][::-1]):
                got = capture(model, [sentences[i] for i in order], SITE)[SITE]
                torch.testing.assert_close(got, (plain + fires[:, None] * V)[order])


def test_conditions_nest_and_compose(tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")
    first, second = condition(EARLY), condition("attn_out.1", name="second")
    acts = capture(model, sentences, [EARLY, "attn_out.1", SITE], position="all")
    a, b = (concept.read(acts)[:, 0] > 0 for concept in (first, second))
    nested = when(first, 0.0, when(second, 0.0, add_vector(SITE, V)))
    apart = [when(first, 0.0, add_vector(SITE, V)), when(-first, 0.0, add_vector(SITE, -V))]
    with intervene(model, nested):
        got = capture(model, sentences, SITE, position="all")[SITE]
    torch.testing.assert_close(got, acts[SITE] + (a & b)[:, None] * V)
    assert (a & b).any()
    with intervene(model, *apart):
        got = capture(model, sentences, SITE, position="all")[SITE]
    torch.testing.assert_close(got, acts[SITE] + torch.where(a, 1, -1)[:, None] * V)


def test_an_earlier_intervention_changes_what_is_read(tiny: Any, sentences: list[str]) -> None:
    model, concept = tiny("gpt2"), condition(SITE)
    up, given = concept.set(1.0), when(concept, 0.0, add_vector(SITE, V))
    with intervene(model, up):
        raised = capture(model, sentences, SITE)[SITE]
    with intervene(model, up, given):
        torch.testing.assert_close(capture(model, sentences, SITE)[SITE], raised + V)
    with intervene(model, concept.set(-1.0), given, concept.set(1.0)):
        torch.testing.assert_close(capture(model, sentences, SITE)[SITE], raised, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", ["torch", "bridge"])
def test_heads_are_conditions_and_conditional(backend: str, tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2", backend)
    head = Concept(torch.ones(1, 8), site="z.1.3")
    acts = capture(model, sentences, "z.1")["z.1"]
    with intervene(model, when(head, 0.0, add_vector("z.1.2", torch.ones(8)))):
        got = capture(model, sentences, "z.1")["z.1"]
    expected = acts.clone()
    expected[:, 2] += (acts[:, 3].sum(1) > 0)[:, None]
    torch.testing.assert_close(got, expected)


class Length:
    """Reads how long an activation is."""

    site, k, name, method, model_name = EARLY, 1, "length", "", ""

    def read(self, x: torch.Tensor) -> torch.Tensor:
        return x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("at", [None, "last", "mean"])
def test_texts_with_a_common_beginning_are_told_apart(at: Any) -> None:
    """Their first tokens are computed once, unless the condition may differ there."""
    model = load_model("tinyworld")
    begin = "the dog was not happy. peter will be sad. he will smile. the planes were nice. they were fed. "
    texts = [
        begin + end for end in ("the dog was happy.", "she was ill. she cried.", "it ran.", "he will be sad.")
    ]
    reading, v = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))
    early = Concept(reading, scale=[100.0], site=EARLY)
    threshold = between(early.read(capture(model, texts, EARLY, position=at or "last"))[:, 0])
    plain = capture(model, texts, LATE)[LATE]
    with intervene(model, when(early, threshold, add_vector(SITE, 9 * v), at=at)):
        together = capture(model, texts, LATE)[LATE]
        alone = torch.cat([capture(model, [text], LATE)[LATE] for text in texts])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-4)
    changed = (together - plain).norm(dim=1) > 1e-2
    assert changed.any()
    assert at is None or not changed.all()


def test_whatever_reads_is_a_condition(tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")
    acts = capture(model, sentences, [EARLY, SITE])
    threshold = between(acts[EARLY].norm(dim=-1))
    given = when(Length(), threshold, add_vector(SITE, V))
    assert given.name == f"add when length > {threshold:g}"
    with intervene(model, given):
        got = capture(model, sentences, SITE)[SITE]
    fires = acts[EARLY].norm(dim=-1) > threshold
    torch.testing.assert_close(got, acts[SITE] + fires[:, None] * V)


@pytest.mark.parametrize("at", [None, "last"])
def test_a_failure_in_the_middle_leaves_nothing(at: Any, tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")

    def hooks() -> list[int]:
        return [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.hf.modules()]

    def fail(x: torch.Tensor, where: Where) -> torch.Tensor:
        if where.step.max() > 1:
            raise RuntimeError("in the middle")
        return x + V

    before, plain = hooks(), next_token_logits(model, sentences)
    fading = schedule(lambda strength: Intervention(SITE, fail), float)
    given = when(condition(), -1e6, fading, at=at)
    with pytest.raises(RuntimeError, match="in the middle"), intervene(model, given):
        generate(model, sentences, max_new_tokens=4)
    assert hooks() == before
    assert torch.equal(next_token_logits(model, sentences), plain)


def test_rows_for_which_it_does_not_hold_are_bit_identical(tiny: Any, sentences: list[str]) -> None:
    model = tiny("gpt2")
    before = capture(model, sentences, SITE, position="all")[SITE]
    never = when(condition(), 1e9, Intervention(SITE, lambda x, where: x.mul_(2)))
    with intervene(model, never):
        assert torch.equal(capture(model, sentences, SITE, position="all")[SITE], before)


def test_a_condition_that_comes_too_late_is_refused(tiny: Any) -> None:
    model = tiny("gpt2")
    for at in (None, "last"):
        with pytest.raises(ValueError, match=r"read at resid_post.2, which is computed after resid_post.1"):
            when(condition(LATE), 0.0, add_vector(SITE, V), at=at)
        for unsure in (condition("transformer.h.2"), condition("resid_post.-1")):
            late = when(unsure, 0.0, add_vector(SITE, V), at=at)
            for _ in range(2):
                with (
                    pytest.raises(ValueError, match="is not known yet: it must be read at a site that the"),
                    intervene(model, late),
                ):
                    next_token_logits(model, ["Yes"])
    with intervene(model, when(condition("transformer.h.0"), 0.0, add_vector("transformer.h.1", V))):
        next_token_logits(model, ["Yes"])


def test_what_makes_no_condition_is_refused(tiny: Any) -> None:
    model, add = tiny("gpt2"), add_vector(SITE, V)
    with pytest.raises(TypeError, match="expected a concept, got 'dog'"):
        when("dog", 0.0, add)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"expected an intervention, .* got 3"):
        when(condition(), 0.0, 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"has 2 directions: take one of them, concept\[0\]"):
        when(Concept(torch.eye(2), site=EARLY), 0.0, add)
    for at in ("generated", "last|generated", "all|last"):
        with pytest.raises(ValueError, match="position"):
            when(condition(), 0.0, add, at=at)
    foreign = condition(model_name="another")
    with (
        pytest.raises(ValueError, match="made from a concept of 'another'"),
        intervene(model, when(foreign, 0.0, add)),
    ):
        pass
    with intervene(model, when(foreign, 0.0, add, force=True)):
        next_token_logits(model, ["Yes"])
    with (
        pytest.raises(ValueError, match="reads activations of width 31"),
        intervene(model, when(Concept(torch.ones(31), site=EARLY), 0.0, add)),
    ):
        next_token_logits(model, ["Yes"])
    shape = Intervention(SITE, lambda x, where: x[:1])
    with (
        pytest.raises(ValueError, match="must return the shape it got"),
        intervene(model, when(condition(), 0.0, shape)),
    ):
        next_token_logits(model, ["Yes she"])
    with pytest.raises(ValueError, match="acts within intervene"):
        when(condition(), 0.0, add).edit(torch.ones(1, 32), None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is not affine"):
        bake(model, when(condition(), 0.0, add))
