"""Targets against arithmetic on raw logits and activations, and what is refused."""

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._targets import (
    ClassLogOdds,
    LogitDifference,
    LogOdds,
    Similarity,
    as_targets,
    token_id,
)
from conceptscope.hooks import load_model


def one(model, target):
    (reading,) = as_targets(model, target)
    return reading


@pytest.fixture(scope="module")
def logits():
    return 30 * torch.randn(5, 3, 532, generator=torch.Generator().manual_seed(0))


def test_log_odds_are_log_p_over_one_minus_p(world, logits):
    token = token_id(world, "happy", "")
    p = logits.double().softmax(-1)[:, 0, token]
    found = one(world, LogOdds("happy"))
    assert torch.allclose(found.read(logits / 30), (logits.double() / 30).softmax(-1)[:, 0, token].logit())
    assert torch.allclose(found.read(logits), p.logit(), atol=1e-9)
    assert found.name == "log-odds of 'happy'"


def test_log_odds_stay_finite_where_a_probability_rounds_to_one(world):
    sure = torch.zeros(1, 1, 532)
    sure[0, 0, 7] = 500
    others = torch.tensor(531.0, dtype=torch.float64).log()
    assert torch.allclose(one(world, LogOdds(7)).read(sure), 500 - others)


def test_several_tokens_are_summed_step_by_step(world, logits):
    found = one(world, LogOdds([3, 8, 5]))
    parts = [one(world, LogOdds(token)).read(logits[:, [at]]) for at, token in enumerate((3, 8, 5))]
    assert torch.allclose(found.read(logits), torch.stack(parts).sum(0))
    assert found.continuation == (3, 8)


def test_a_logit_difference_and_any_function(world, logits):
    assert torch.allclose(
        one(world, LogitDifference(3, 8)).read(logits), (logits[:, 0, 3] - logits[:, 0, 8]).double()
    )
    found = one(world, lambda logits: logits[:, 9])
    assert torch.equal(found.read(logits), logits[:, 0, 9].double())


def test_a_class_of_a_classifier(build):
    hf, tokenizer = build("bert", "BertForSequenceClassification", num_labels=3)
    model = load_model(hf, tokenizer=tokenizer)
    logits = torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(0))
    for label in (1, "LABEL_1"):
        true = logits.double().softmax(-1)[:, 0, 1].logit()
        assert torch.allclose(one(model, ClassLogOdds(label)).read(logits), true)
    with pytest.raises(ValueError, match=r"no class 'LABEL_9': it has LABEL_0, LABEL_1, LABEL_2"):
        as_targets(model, ClassLogOdds("LABEL_9"))
    with pytest.raises(ValueError, match="gives no logits of tokens"):
        as_targets(model, LogOdds(3))


def test_a_concept_is_read_as_from_a_capture(world, sentiment):
    acts = cs.capture(world, sentiment[:40], "resid_post.2")
    concept = cs.MeanDifference().fit(acts)
    found = one(world, concept)
    seen = acts["resid_post.2"]
    assert found.site == concept.site
    assert found.position == concept.position
    assert torch.allclose(found.read(seen[:, None]), concept.read(seen.double())[:, 0])
    several = seen[:6].view(2, 3, -1)
    assert torch.allclose(found.read(several), concept.read(several.double())[..., 0].mean(1))


def test_similarity_is_the_cosine_of_mean_states(tiny):
    model = tiny("bert")
    found = one(model, Similarity("She walked home."))
    ids = model.tokenizer("She walked home.", return_tensors="pt")
    other = model.hf.bert(**ids).last_hidden_state.mean(1)
    states = torch.randn(3, 7, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(
        found.read(states), torch.cosine_similarity(states.mean(1), other, dim=-1).double(), atol=1e-6
    )
    assert found.position is None


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([], "no targets"),
        (LogOdds(532), "not among the 532"),
        (LogOdds(-1), "not among the 532"),
        (LogOdds([]), "names no token"),
        (LogOdds("xyzzy"), "not in the vocabulary"),
        (LogOdds(""), "not in the vocabulary"),
        (LogOdds("true."), r"'true.' is 2 tokens.*LogOdds\(\[501, 103\]\)"),
        (LogitDifference("happy", "happy"), "with itself"),
        (ClassLogOdds(0), "tells no classes apart"),
    ],
)
def test_targets_that_make_no_sense_are_refused(world, target, message):
    with pytest.raises(ValueError, match=message):
        as_targets(world, target)


def test_a_split_string_says_when_a_space_helps(tiny):
    model = tiny("gpt2")
    with pytest.raises(ValueError, match="' they', with its space, is one token"):
        as_targets(model, LogOdds("they"))
    assert as_targets(model, LogOdds(" they"))
    with pytest.raises(ValueError, match=r"give one of \['vio', 'lin'\]"):
        as_targets(model, LogOdds("violin"))


@pytest.mark.parametrize("target", ["happy", 3.5, LogOdds(True), LogOdds([None]), LogitDifference(1.5, 2)])
def test_targets_of_another_type_are_refused(world, target):
    with pytest.raises(TypeError):
        as_targets(world, target)


def test_a_concept_of_another_model_or_of_many_directions_is_refused(world):
    elsewhere = cs.Concept(torch.randn(1, 128), site="resid_post.1", model_name="gpt2")
    with pytest.raises(ValueError, match="belongs to the model 'gpt2'"):
        as_targets(world, elsewhere)
    with pytest.raises(ValueError, match="take one of them"):
        as_targets(world, cs.Concept(torch.randn(3, 128), site="resid_post.1"))


def test_a_function_must_give_one_number_a_row(world, logits):
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        one(world, lambda logits: logits).read(logits)


def test_an_encoder_says_no_second_token(tiny):
    with pytest.raises(ValueError, match="one token"):
        as_targets(tiny("bert"), LogOdds([5, 6]))
