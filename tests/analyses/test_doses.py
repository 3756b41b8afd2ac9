from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import conceptscope as cs
from conceptscope.analyses._doses import Tried, interventions_at, plan_doses, try_doses
from conceptscope.analyses._trials import Run, Trials

SITE = "resid_post.2"
# long enough for a capture to run its tokens once for all copies, which random directions forbid
LONG = "the dog was happy . " * 4 + "it will"


@pytest.fixture(scope="module")
def trials(world: cs.HookedModel, prompts: list[str]) -> Trials:
    return Trials(world, [*prompts, LONG], 2)


def tries(trials: Trials, doses: Any, look: Callable[[Run], Any], *done: Any) -> list[Tried[Any]]:
    return try_doses(plan_doses(trials, doses, directions=3, generator=torch.Generator()), look, *done)


def behind(run: Run) -> Tensor:
    """What there is behind the interventions, at every prompt's last token."""
    with cs.intervene(run.model, *run.interventions):
        found: Tensor = cs.capture(run.model, run.examples, SITE)[SITE]
    return found


@pytest.mark.parametrize("name", ["add", "set", "erase", "clamp"])
def test_random_directions_have_the_same_norm_at_every_prompt(
    name: str, trials: Trials, concept: cs.Concept
) -> None:
    make: dict[str, Callable[[float], cs.Intervention]] = {
        "add": concept.add,
        "set": concept.set,
        "erase": lambda strength: concept.erase(),
        "clamp": lambda strength: concept.clamp(low=0.0),
    }
    [tried] = tries(trials, [(2.0, [make[name](2.0)])], behind)
    plain = behind(trials.under([]))
    own = (tried.own - plain).norm(dim=1)
    moved = tried.random.view(3, *plain.shape) - plain
    assert torch.allclose(moved.norm(dim=2), own.expand(3, -1), rtol=1e-3, atol=1e-3)
    if name == "clamp":
        assert own.min() < 1e-3 < own.max()
    unit = torch.nn.functional.normalize(moved[:, own > 1], dim=2)
    for line in unit:  # each copy moves along one direction, and each along another
        assert torch.allclose((line @ line[0]).abs(), torch.ones(len(line)), atol=1e-3)
    assert (unit[:, 0] @ unit[:, 0].T).tril(-1).abs().max() < 0.99


def test_all_doses_have_the_same_directions(trials: Trials, concept: cs.Concept) -> None:
    doses = [(s, [concept.add(s)]) for s in (-2.0, 1.0)]
    down, up = tries(trials, doses, behind)
    plain = behind(trials.under([])).repeat(3, 1)
    assert torch.allclose(down.random - plain, -2 * (up.random - plain), atol=1e-2)


def test_nothing_is_done_where_nothing_changes(trials: Trials, concept: cs.Concept) -> None:
    copies = []
    [tried] = tries(trials, [(0.0, [concept.add(0.0)])], lambda run: copies.append(run.copies))
    assert (tried.plan.norm, copies) == (0.0, [1, 1])


def test_progress_is_told(trials: Trials, concept: cs.Concept) -> None:
    told: list[int] = []
    doses = [(s, [concept.add(s)]) for s in (0.0, 1.0)]
    tries(trials, doses, lambda run: None, told.append)
    assert told == [1, 1, 1, 3]


def test_a_family_makes_one_intervention_or_several(concept: cs.Concept) -> None:
    assert len(interventions_at(concept.add, 1.0)) == 1
    assert len(interventions_at(lambda s: [concept.add(s), concept.erase()], 1.0)) == 2
