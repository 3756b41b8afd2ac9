"""What stands for an absent player, against the embedding matrix itself."""

import warnings

import pytest
import torch

from conceptscope.analyses._baselines import Baseline, absent_tokens, fixed_baseline


@pytest.mark.architectures("gpt2", "llama", "gemma2", "bert")
def test_the_mean_is_that_of_the_rows_as_the_model_embeds_them(tiny, architecture):
    model = tiny(architecture)
    embed = model.hf.get_input_embeddings()
    scale = 32**0.5 if architecture == "gemma2" else 1.0
    found = fixed_baseline(model, "mean")
    assert torch.allclose(found.embedding, scale * embed.weight.mean(0), atol=1e-6)
    assert found.name == "the mean embedding"


@pytest.mark.parametrize("given", ["happy", 280])
def test_a_token_is_its_row_and_comes_with_a_warning(world, given):
    with pytest.warns(UserWarning, match="depends on it"):
        found = fixed_baseline(world, given)
    assert torch.equal(found.embedding, world.hf.get_input_embeddings().weight[280])
    assert found.name == "the token 'happy'"


def test_others_come_without_one(world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fixed_baseline(world, "attention").embedding is None
        given = Baseline("mine", torch.zeros(128))
        assert fixed_baseline(world, given) is given


@pytest.mark.architectures("bloom", "mamba")
def test_removal_is_refused_where_others_would_move(tiny, architecture):
    with pytest.raises(ValueError, match="take baseline='mean'"):
        fixed_baseline(tiny(architecture), "attention")


def test_a_token_that_is_none_is_refused(world):
    with pytest.raises(ValueError, match="not in the vocabulary"):
        fixed_baseline(world, "xyzzy")
    with pytest.raises(TypeError, match="a string or an id"):
        fixed_baseline(world, 1.5)


def test_no_hook_survives(world):
    embed = world.hf.get_input_embeddings()
    with absent_tokens(world, fixed_baseline(world, "mean"), torch.ones(1, 2, dtype=torch.bool)):
        assert embed._forward_hooks
        with pytest.raises(RuntimeError):
            world.hf(torch.zeros(1, 3, dtype=torch.long))
    assert not embed._forward_hooks
