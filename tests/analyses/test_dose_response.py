from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import conceptscope as cs

TOKENS = 5
Tiny = Callable[..., Any]


@pytest.fixture(scope="module")
def found(world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> cs.DoseResponse:
    return cs.dose_response(
        world, prompts, concept.add, [2, -1, 0], measure="smile", max_new_tokens=TOKENS, directions=6
    )


def by_strength(found: cs.DoseResponse, strength: float) -> Any:
    [dose] = [dose for dose in found.doses if dose.strength == strength]
    return dose


@contextmanager
def raw_addition(model: cs.HookedModel, vector: Tensor) -> Iterator[None]:
    """A hand-written hook at resid_post.2 that spares the first token, <s>."""

    def hook(module: Any, args: Any, output: Any) -> Any:
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, 1:] += vector
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    handle = model.hf.model.layers[2].register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def log_p(model: cs.HookedModel, ids: list[int]) -> Tensor:
    return model.hf(torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)


@torch.no_grad()
def greedy(model: cs.HookedModel, prompt: str) -> tuple[list[int], int]:
    """The ids of a prompt and of what follows it, end included, without a cache; and where that begins."""
    ids = model.tokenizer(prompt)["input_ids"]
    begin = len(ids)
    while len(ids) < begin + TOKENS and (len(ids) == begin or ids[-1] != 0):
        ids = [*ids, int(log_p(model, ids)[-1].argmax())]
    return ids, begin


def test_kl_and_perplexity_by_raw_forwards(
    found: cs.DoseResponse, world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    vector = 2 * concept.vector
    kl, ratio, surprise = [], [], []
    for prompt in prompts:
        ids, begin = greedy(world, prompt)
        at = range(begin - 1, len(ids) - 1)
        plain = log_p(world, ids)[at]
        with raw_addition(world, vector):
            steered = log_p(world, ids)[at]
            other, _ = greedy(world, prompt)
        kl.append((plain.exp() * (plain - steered)).sum(-1).mean().item())
        own = -plain.gather(1, torch.tensor(ids[begin:])[:, None]).mean().item()
        again = log_p(world, other)[begin - 1 : -1]
        ratio.append(-again.gather(1, torch.tensor(other[begin:])[:, None]).mean().item() - own)
        surprise.append(own)
    dose = by_strength(found, 2)
    assert dose.kl.value == pytest.approx(np.mean(kl), rel=1e-3)
    assert dose.perplexity_ratio.value == pytest.approx(np.exp(np.mean(ratio)), rel=1e-3)
    assert found.untouched.perplexity == pytest.approx(np.exp(np.mean(surprise)), rel=1e-3)


def test_zero_strength_does_and_breaks_nothing(found: cs.DoseResponse) -> None:
    dose = by_strength(found, 0)
    for estimate, nothing in (
        (dose.effect, 0.0),
        (dose.kl, 0.0),
        (dose.repetition, 0.0),
        (dose.perplexity_ratio, 1.0),
    ):
        parts = [estimate.value, estimate.low, estimate.high]
        assert parts == [nothing] * 3
        assert [estimate.random, estimate.random_low, estimate.random_high] == pytest.approx([nothing] * 3)
    assert (dose.norm, dose.p) == (0.0, 1.0)
    assert dose.texts == found.untouched.texts


def test_effects_and_texts(
    found: cs.DoseResponse, world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    smile = world.tokenizer.convert_tokens_to_ids("smile")

    def log_odds() -> Tensor:
        p = cs.next_token_logits(world, prompts).double().softmax(-1)[:, smile]
        return (p / (1 - p)).log()

    before = log_odds()
    for strength in (-1, 2):
        with cs.intervene(world, concept.add(strength)):
            risen = log_odds() - before
            texts = cs.generate(world, prompts, max_new_tokens=TOKENS)
        dose = by_strength(found, strength)
        with cs.intervene(world, *dose.interventions):
            assert cs.generate(world, prompts, max_new_tokens=TOKENS) == texts
        assert dose.effect.value == pytest.approx(risen.mean().item(), abs=1e-4)
        assert dose.effect.low < dose.effect.value < dose.effect.high
        assert dose.texts == tuple(texts)
    assert found.untouched.measured == pytest.approx(before.mean().item(), abs=1e-4)


def test_strengths_are_sorted_and_norms_are_the_vectors(found: cs.DoseResponse, concept: cs.Concept) -> None:
    assert [dose.strength for dose in found.doses] == [-1, 0, 2]
    length = concept.vector.norm().item()
    assert [dose.norm for dose in found.doses] == pytest.approx([length, 0, 2 * length], rel=1e-4)


def test_the_concept_does_more_than_random_directions(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str], sentiment: cs.Examples
) -> None:
    found = cs.dose_response(world, prompts, concept.add, [-1, 1], measure=sentiment, max_new_tokens=3)
    down, up = found.doses
    assert (down.p, up.p) == (1 / 21, 1 / 21)
    assert down.effect.value < down.effect.random_low < up.effect.random_high < up.effect.value
    assert down.effect.high < 0 < up.effect.low


def test_a_random_direction_is_one_of_many(
    world: cs.HookedModel, prompts: list[str], sentiment: cs.Examples, sentiment_acts: cs.Activations
) -> None:
    """The null is calibrated: what is drawn as the random directions are is not beyond them."""
    acts = cs.capture(world, prompts, "resid_post.2", position="all")["resid_post.2"]
    rng = torch.Generator().manual_seed(7)
    ps = []
    for _ in range(8):
        drawn = torch.randn(len(acts), generator=rng) @ (acts - acts.mean(0))
        vector = 50 * torch.nn.functional.normalize(drawn, dim=0)
        family = lambda s, v=vector: cs.add_vector("resid_post.2", s * v)  # noqa: E731
        found = cs.dose_response(
            world, prompts, family, [1], measure=sentiment, max_new_tokens=1, directions=9
        )
        ps.append(found.doses[0].p)
    assert 0.25 < np.mean(ps) < 0.8
    assert len(set(ps)) > 3


def test_several_interventions_act_together(world: cs.HookedModel, prompts: list[str]) -> None:
    vectors = 20 * torch.eye(128)[:2]

    def family(strength: float) -> list[cs.Intervention]:
        sites = ("resid_post.0", "resid_post.-1")
        return [cs.add_vector(site, strength * v) for site, v in zip(sites, vectors, strict=True)]

    [dose] = cs.dose_response(
        world, prompts, family, [1], measure="smile", max_new_tokens=2, directions=2
    ).doses
    assert dose.norm == pytest.approx(20, rel=1e-3)
    assert dose.kl.value > 0


@pytest.mark.parametrize(
    ("name", "backend"), [("gpt2", "torch"), ("gpt2", "bridge"), ("bloom", "torch"), ("mamba", "torch")]
)
def test_other_architectures(name: str, backend: str, tiny: Tiny, sentences: list[str]) -> None:
    model = tiny(name, backend)
    vector = 3 * torch.randn(32, generator=torch.Generator().manual_seed(0))
    found = cs.dose_response(
        model,
        sentences,
        lambda s: cs.add_vector("resid_post.1", s * vector),
        [0, 1],
        measure=7,
        max_new_tokens=3,
        directions=2,
    )
    none, some = found.doses
    assert none.kl.value == pytest.approx(0, abs=1e-6)
    assert some.kl.value > 1e-3
    assert some.kl.random > 1e-3


def test_the_same_again_and_no_hook_is_left(
    found: cs.DoseResponse, world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in world.hf.modules()]
    torch.manual_seed(99)
    again = cs.dose_response(
        world, prompts, concept.add, [2, -1, 0], measure="smile", max_new_tokens=TOKENS, directions=6
    )
    assert again.to_frame().equals(found.to_frame())
    assert torch.equal(again.generator_state, found.generator_state)
    other = cs.dose_response(
        world, prompts, concept.add, [2], measure="smile", max_new_tokens=TOKENS, directions=6, generator=1
    )
    [dose] = other.doses
    assert dose.kl.value == by_strength(found, 2).kl.value
    assert dose.kl.random != by_strength(found, 2).kl.random
    assert hooks == [
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in world.hf.modules()
    ]


def test_continuations_may_be_drawn(
    found: cs.DoseResponse, world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    def run(generator: int) -> cs.DoseResponse:
        return cs.dose_response(
            world, prompts, concept.add, [0, 1], measure="smile", max_new_tokens=TOKENS, directions=2,
            temperature=1.0, generator=generator,
        )  # fmt: skip

    drawn, again, other = run(0), run(0), run(1)
    assert drawn.temperature == 1
    assert drawn.untouched.texts != found.untouched.texts
    assert drawn.to_frame().equals(again.to_frame())
    assert drawn.untouched.texts != other.untouched.texts
    none, one = drawn.doses
    assert none.texts == drawn.untouched.texts
    assert (none.kl.value, none.perplexity_ratio.value) == (0, 1)
    assert one.texts != drawn.untouched.texts
    with pytest.raises(ValueError, match="temperature must be 0"):
        cs.dose_response(world, prompts, concept.add, [1], measure="smile", temperature=-1.0)


def test_groups_of_prompts_are_drawn_together(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str], found: cs.DoseResponse
) -> None:
    twice = cs.Examples(prompts * 2, groups=list(range(len(prompts))) * 2)
    again = cs.dose_response(
        world, twice, concept.add, [2], measure="smile", max_new_tokens=TOKENS, directions=1
    )
    assert (again.n_prompts, again.n_groups, found.n_groups) == (16, 8, 8)
    effect, before = again.doses[0].effect, by_strength(found, 2).effect
    assert [effect.value, effect.low, effect.high] == pytest.approx(
        [before.value, before.low, before.high], abs=1e-4
    )


@pytest.mark.parametrize("budget", [0.01, 0.05, 0.3, 5.0])
def test_the_best_dose_is_the_strongest_within_the_budget(found: cs.DoseResponse, budget: float) -> None:
    best = found.best(budget)
    assert best.kl.value <= budget
    assert all(abs(dose.strength) <= abs(best.strength) for dose in found.doses if dose.kl.value <= budget)


def test_the_best_dose_by_perplexity_and_by_effect(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    found = cs.dose_response(
        world, prompts, concept.add, [-1, 1, 8], measure="smile", max_new_tokens=8, directions=1
    )
    assert found.best(1e9).strength == 8
    assert found.best(1e9, perplexity_ratio=20).strength == 1  # and not -1, which is as strong
    with pytest.raises(ValueError, match=r"no dose within a KL of 1e-05 .* the mildest, -?1, has"):
        found.best(1e-5)


def test_what_a_user_sees(found: cs.DoseResponse) -> None:
    frame = found.to_frame()
    for name in ("effect", "kl", "perplexity_ratio", "repetition"):
        parts = [name, *(f"{name}_{part}" for part in ("low", "high", "random", "random_low", "random_high"))]
        assert set(parts) <= set(frame.columns)
    assert frame.strength.tolist() == [-1, 0, 2]
    assert frame.kl.tolist() == [dose.kl.value for dose in found.doses]
    assert repr(found).startswith("DoseResponse(3 strengths, 8 prompts, 6 random directions; at 2: effect ")
    assert repr(found.doses[0]).startswith("Dose(strength=-1.0, norm=")
    assert len(repr(found.doses[0])) < 400
    html = found._repr_html_()
    assert "log-odds of &#x27;smile&#x27;" in html
    assert found.doses[-1].texts[0].strip()[:5] in html


def test_effect_and_harm_are_on_one_picture(found: cs.DoseResponse) -> None:
    from matplotlib.figure import Figure

    axes = found.plot(Figure().subplots())
    sides = axes.figure.axes
    assert len(sides) == 2
    labels = {text.get_text() for text in sides[1].get_legend().get_texts()}
    assert {"effect, 95 % interval", "KL, 95 % interval"} < labels
    assert {"effect, 95 % of random directions", "KL, 95 % of random directions"} < labels
    for side, part in zip(sides, ("effect", "kl"), strict=True):
        drawn = side.containers[0].lines[0].get_ydata()
        assert drawn.tolist() == [getattr(dose, part).value for dose in found.doses]
    assert found.plot() is not axes


def test_what_makes_no_dose_response_is_refused(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str], tiny: Tiny
) -> None:
    def run(
        family: Any = concept.add, strengths: Any = (1,), prompts: Any = prompts, **settings: Any
    ) -> None:
        cs.dose_response(world, prompts, family, strengths, max_new_tokens=2, **settings)

    with pytest.raises(TypeError, match=r"a family is a function of the strength, such as concept\.add"):
        run(concept.add(1.0))
    with pytest.raises(TypeError, match=r"it made 2\.0"):
        run(lambda s: 2 * s)
    with pytest.raises(ValueError, match="strengths must be finite, got inf"):
        run(strengths=[1, float("inf")])
    for strengths in ([], [1, 2, 1]):
        with pytest.raises(ValueError, match="expected strengths, each once"):
            run(strengths=strengths)
    with pytest.raises(TypeError, match="got one string"):
        run(prompts="the dog")
    with pytest.raises(ValueError, match="prompts of at least two groups"):
        run(prompts=prompts[:1])
    with pytest.raises(ValueError, match="at least one random direction"):
        run(directions=0)
    with pytest.raises(ValueError, match="at least 100 resamples"):
        run(resamples=10)
    with pytest.raises(ValueError, match=r"acts at resid_post\.1 with strength 1, and at resid_post\.2 with"):
        run(lambda s: cs.add_vector(f"resid_post.{int(s)}", torch.ones(128)), [1, 2], measure="smile")
    with pytest.raises(ValueError, match=r"not finite under Intervention\('resid_post\.1'"):
        run(lambda s: cs.Intervention("resid_post.1", lambda x, where: torch.nan * x), measure="smile")
    other = cs.Concept(torch.ones(128), site="resid_post.1", model_name="other")
    with pytest.raises(ValueError, match="was made from a concept of 'other', and the model is 'tinyworld'"):
        run(other.add, measure="smile")
    with pytest.raises(ValueError, match="is an encoder"):
        cs.dose_response(
            tiny("bert"), prompts, lambda s: cs.add_vector("embed", torch.ones(32)), [1], measure=7
        )
