from collections.abc import Callable
from typing import Any

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses import _continuations, _trials
from conceptscope.analyses._trials import Trials

Tiny = Callable[..., Any]


@pytest.mark.parametrize("copies", [1, 3])
def test_logits_that_are_not_kept_are_computed_again(
    copies: int,
    world: cs.HookedModel,
    concept: cs.Concept,
    prompts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trials = Trials(world, prompts, 5)
    kept = trials.under([concept.add(2.0)], copies).kl()
    assert trials._logits is not None
    assert len(trials._logits) == len(prompts)
    monkeypatch.setattr(_trials, "_KEPT", 0)
    again = Trials(world, prompts, 5)
    assert again._logits is None
    assert again.under([concept.add(2.0)], copies).kl() == pytest.approx(kept, rel=1e-3, abs=1e-5)
    assert again.under([]).kl() == pytest.approx(0, abs=1e-6)


def test_untouched_logits_are_computed_once_for_copies_in_a_batch(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_trials, "_KEPT", 0)
    trials, seen = Trials(world, prompts, 5), []
    expected_at = _trials.expected_at

    def note(model: Any, rows: list[int], *others: Any) -> Any:
        seen.append(len(rows))
        return expected_at(model, rows, *others)

    monkeypatch.setattr(_trials, "expected_at", note)
    trials.under([concept.add(2.0)], 4).kl()
    assert seen == [32, 8]


def test_logits_come_in_parts_of_few_numbers(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Trials(world, prompts, 5).under([concept.add(2.0)])
    whole = run.kl(), run.surprise()
    vocab = _continuations.vocabulary(world)
    monkeypatch.setattr(_continuations, "_CELLS", 4 * 5 * vocab)
    monkeypatch.setattr(_continuations, "_PART", 2 * 5 * vocab)
    parts = list(_continuations.expectations(world, run.prompts, run.trials.written))
    assert max(len(part.rows) for part in parts) == 2
    assert sorted(row for part in parts for row in part.rows) == list(range(8))
    assert run.kl() == pytest.approx(whole[0], rel=1e-3, abs=1e-5)
    assert run.surprise() == pytest.approx(whole[1], rel=1e-3, abs=1e-5)


def test_drawn_continuations_are_those_of_generate(world: cs.HookedModel, prompts: list[str]) -> None:
    trials = Trials(world, prompts, 6, 1.5, 7)
    seed = trials._seed
    texts = cs.generate(world, prompts, max_new_tokens=6, temperature=1.5, generator=seed)
    assert trials.under([]).texts == tuple(texts)
    assert texts != cs.generate(world, prompts, max_new_tokens=6)
    other = Trials(world, prompts, 6, 1.5, 8)
    assert other.under([]).texts != tuple(texts)


def test_copies_are_drawn_with_the_same_random_numbers(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    trials = Trials(world, prompts, 6, 1.0)
    thrice = trials.under([concept.add(1.0)], 3).texts
    assert thrice == trials.under([concept.add(1.0)]).texts * 3
    assert trials.under([concept.add(0.0)]).texts == trials.under([]).texts


def test_greedy_trials_leave_the_generator_alone(world: cs.HookedModel, prompts: list[str]) -> None:
    generator = torch.Generator().manual_seed(3)
    before = generator.get_state()
    Trials(world, prompts, 2, 0.0, generator)
    assert torch.equal(generator.get_state(), before)
    Trials(world, prompts, 2, 1.0, generator)
    assert not torch.equal(generator.get_state(), before)


def test_kl_of_drawn_texts_is_the_kl_of_whole_texts(world: cs.HookedModel, concept: cs.Concept) -> None:
    """At temperature 1 the steps' KL adds up, over many texts, to that of the texts' probabilities."""
    trials = Trials(world, ["the dog was happy . it will"] * 400, 3, 1.0)
    acting = [concept.add(1.0)]
    steps = torch.tensor([one.steps for one in trials.written])
    by_step = torch.from_numpy(trials.under(acting).kl()[0]) * steps
    untouched = torch.from_numpy(trials.under([]).surprise()[0]) * steps
    with cs.intervene(world, *acting):
        steered = torch.from_numpy(trials.under([]).surprise()[0]) * steps
    ratio = steered - untouched
    error = ((ratio - by_step).std() / 400**0.5).item()
    assert abs((ratio - by_step).mean().item()) < 4 * error
    assert error < 0.5 * by_step.mean().item()
