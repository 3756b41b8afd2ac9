import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._measures import as_measure, position_of
from conceptscope.analyses._trials import Trials

Tiny = Callable[..., Any]


@pytest.fixture(scope="module")
def trials(world: cs.HookedModel, prompts: list[str]) -> Trials:
    return Trials(world, prompts, 4)


def test_a_reading_is_that_of_a_capture(
    world: cs.HookedModel, trials: Trials, sentiment_acts: cs.Activations, concept: cs.Concept
) -> None:
    later = cs.MeanDifference().fit(sentiment_acts, "resid_post.3")
    found = trials.under([concept.add(1.5)], 2).measured(as_measure(world, later))
    with cs.intervene(world, concept.add(1.5)):
        expected = later.read(cs.capture(world, trials.examples, later.site))[:, 0]
    assert found.shape == (2, len(trials))
    assert found[0] == pytest.approx(expected.numpy(), abs=1e-4)
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_where_it_acts_a_concept_reads_what_was_put_there(
    world: cs.HookedModel, trials: Trials, concept: cs.Concept
) -> None:
    measure = as_measure(world, concept)
    risen = trials.under([concept.add(1.5)]).measured(measure) - trials.under([]).measured(measure)
    assert risen == pytest.approx(np.full_like(risen, 1.5), abs=1e-4)


def test_a_reading_of_several_tokens_is_their_mean(
    world: cs.HookedModel, trials: Trials, concept: cs.Concept
) -> None:
    everywhere = as_measure(world, replace(concept, position="all"))
    mean = as_measure(world, replace(concept, position="mean"))
    assert trials.under([]).measured(everywhere) == pytest.approx(trials.under([]).measured(mean), abs=1e-4)


@pytest.mark.parametrize(
    ("given", "position"),
    [
        (None, "last"),
        ("mean", "mean"),
        ("-2", -2),
        ("last|first", "last|first"),
        (3, 3),
        ("user", "user"),
        ("re.compile('x')", re.compile("x")),
    ],
)
def test_where_a_concept_is_read(concept: cs.Concept, given: Any, position: Any) -> None:
    assert position_of(replace(concept, position=given)) == position


def test_log_odds_of_tokens(world: cs.HookedModel, trials: Trials, concept: cs.Concept) -> None:
    ids = world.tokenizer.convert_tokens_to_ids(["smile", "cry"])
    with cs.intervene(world, concept.add(1.0)):
        p = cs.next_token_logits(world, trials.examples).double().softmax(-1)
    one, two = p[:, ids[0]], p[:, ids].sum(1)
    for wanted, share in (("smile", one), (ids[0], one), (["smile", "cry"], two), (ids, two)):
        found = trials.under([concept.add(1.0)]).measured(as_measure(world, wanted))
        assert found[0] == pytest.approx((share / (1 - share)).log().numpy(), abs=1e-4)
    assert as_measure(world, ["smile", "cry", "smile"]).name == "log-odds of 'smile', 'cry'"


def test_a_function_of_the_text(world: cs.HookedModel, trials: Trials, concept: cs.Concept) -> None:
    def words(text: str) -> float:
        return len(text.split())

    measure = as_measure(world, words)
    with cs.intervene(world, concept.add(2.0)):
        texts = cs.generate(world, trials.examples, max_new_tokens=4)
    run = trials.under([concept.add(2.0)])
    assert run.texts == tuple(texts)
    assert run.measured(measure).tolist() == [[words(text) for text in texts]]
    assert measure.name == "words"


def test_labelled_examples_give_the_tokens_that_tell_them_apart(
    world: cs.HookedModel, sentiment: cs.Examples, trials: Trials, concept: cs.Concept
) -> None:
    measure = as_measure(world, sentiment)
    assert "'smile'" in measure.name.split("against")[0]
    up, down = (trials.under([concept.add(s)]).measured(measure).mean() for s in (1.0, -1.0))
    assert up > down + 3


def test_by_default_the_tokens_that_the_concept_raises(world: cs.HookedModel, concept: cs.Concept) -> None:
    measure = as_measure(world, None, [concept.add(1.0)])
    raised = [word.strip() for word, _ in concept.top_tokens(world, 10)]
    assert measure.name == "log-odds of " + ", ".join(map(repr, raised[:4])) + ", ..."
    assert world.tokenizer.convert_ids_to_tokens(list(measure.tokens)) == raised  # type: ignore[attr-defined]


def test_what_measures_nothing_is_refused(
    world: cs.HookedModel, concept: cs.Concept, sentiment: cs.Examples
) -> None:
    wrong: Any
    for wrong in (3.5, torch.zeros(2), [2.5], True):
        with pytest.raises(TypeError, match="measure= takes a concept, labelled examples"):
            as_measure(world, wrong)
    with pytest.raises(ValueError, match="not made from a concept, so say what to measure"):
        as_measure(world, None, [cs.add_vector("resid_post.1", torch.ones(128))])
    with pytest.raises(ValueError, match="no tokens were given"):
        as_measure(world, [])
    with pytest.raises(KeyError, match="no token 'zebra'"):
        as_measure(world, "zebra")
    with pytest.raises(KeyError, match="no token 100000"):
        as_measure(world, 100000)
    with pytest.raises(
        ValueError, match="'smile cry' is 2 tokens of tinyworld, and one is needed: 'smile', 'cry'"
    ):
        as_measure(world, "smile cry")
    many = cs.Concept(torch.eye(128)[:3], classes=("a", "b", "c"), site="resid_post.2")
    with pytest.raises(ValueError, match=r"take one of them, concept\['a'\]"):
        as_measure(world, many)
    with pytest.raises(ValueError, match=r"found at the position the third token, which"):
        as_measure(world, replace(concept, position="the third token"))
    with pytest.raises(ValueError, match="labels of two classes, got 0"):
        as_measure(world, cs.Examples(["the dog"]))
    with pytest.raises(ValueError, match="goes on alike after texts labelled 'tails' and after others"):
        as_measure(world, cs.load_examples("tinyworld/coin"))
    narrow = cs.Concept(torch.ones(32), site="z.1.2")
    with pytest.raises(ValueError, match="cannot be read off the unembedding of tinyworld"):
        as_measure(world, None, [narrow.add(1.0)])


def test_a_measure_that_is_not_finite_is_refused(trials: Trials, world: cs.HookedModel) -> None:
    def oops(text: str) -> float:
        return float("nan")

    measure = as_measure(world, oops)
    with pytest.raises(ValueError, match="oops is not finite for every prompt"):
        trials.under([]).measured(measure)


def test_a_concept_of_another_model_is_refused(trials: Trials, world: cs.HookedModel) -> None:
    other = cs.Concept(torch.ones(128), site="resid_post.2", model_name="other")
    with pytest.raises(ValueError, match="'other'"):
        trials.under([]).measured(as_measure(world, other))
