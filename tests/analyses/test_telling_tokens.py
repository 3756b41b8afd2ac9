import numpy as np
import pytest
from scipy.stats import ttest_ind

import conceptscope as cs
from conceptscope.analyses._measures import labelled
from conceptscope.analyses._telling_tokens import _differences, _discovered, telling_tokens


def test_they_are_what_the_sentiment_determines(world: cs.HookedModel, sentiment: cs.Examples) -> None:
    found = telling_tokens(world, sentiment, labelled(sentiment, "positive"))
    assert found is not None
    assert found.others is not None
    up, down = (world.tokenizer.convert_ids_to_tokens(list(side)) for side in (found.tokens, found.others))
    glad = {"smile", "smiled", "laugh", "laughed", "sing", "sang", "please", "charm", "impress"}
    assert set(up) == glad
    assert {"cry", "cried", "sigh", "frown", "annoy", "bore", "disturb"} <= set(down)
    assert len(down) == 9


def test_turned_round(world: cs.HookedModel, sentiment: cs.Examples) -> None:
    found, turned = (
        telling_tokens(world, sentiment, labelled(sentiment, label)) for label in ("positive", "negative")
    )
    assert found is not None
    assert turned is not None
    assert (found.tokens, found.others) == (turned.others, turned.tokens)


def test_a_coin_determines_nothing(world: cs.HookedModel) -> None:
    coin = cs.load_examples("tinyworld/coin")
    assert telling_tokens(world, coin, labelled(coin, "heads")) is None


def test_what_is_sure_and_tiny_tells_nothing(world: cs.HookedModel, sentiment: cs.Examples) -> None:
    """With ten groups tokens that differ are not sure, and those that are sure differ by next to nothing."""
    some, _ = sentiment.split(test=0.25)
    positive = labelled(some, "positive")
    p = cs.next_token_logits(world, some).double().softmax(-1).numpy()
    difference, chance = _differences(p, positive, np.unique(some.groups, return_inverse=True)[1])
    sure = np.abs(difference[_discovered(chance)])
    assert len(sure) > 20
    assert sure.max() < 0.001 * np.abs(difference).max()
    assert telling_tokens(world, some, positive) is None


def test_differences_of_single_texts_are_welchs() -> None:
    """Alone, texts give nearly the t-test of unequal variances."""
    rng = np.random.default_rng(0)
    p, positive = rng.random((60, 5)), np.arange(60) % 3 == 0
    difference, chance = _differences(p, positive, np.arange(60))
    welch = ttest_ind(p[positive], p[~positive], equal_var=False)
    assert difference == pytest.approx(p[positive].mean(0) - p[~positive].mean(0))
    assert chance == pytest.approx(welch.pvalue, abs=0.03)


def test_texts_that_belong_together_count_once() -> None:
    rng = np.random.default_rng(0)
    p, positive = rng.random((30, 5)), np.arange(30) % 2 == 0
    alone = _differences(p, positive, np.arange(30))
    copied = _differences(p.repeat(4, 0), positive.repeat(4), np.arange(30).repeat(4))
    assert copied[0] == pytest.approx(alone[0])
    assert copied[1] == pytest.approx(alone[1])


def test_discoveries_by_hand() -> None:
    # the third is below 3 / 5 of 5 %, though the second is not below 2 / 5 of it
    assert _discovered(np.array([0.001, 0.024, 0.029, 0.2, 0.9])).tolist() == [True] * 3 + [False] * 2
    assert not _discovered(np.array([0.02, 0.5, 0.6])).any()


def test_tokens_that_no_text_contains_tell_nothing(world: cs.HookedModel, sentiment: cs.Examples) -> None:
    """Were the first of them the unknown token and the second the end of a text, the latter would stay."""
    found = telling_tokens(world, sentiment, labelled(sentiment, "positive"))
    assert found is not None
    marked = cs.load_model("tinyworld")
    marked.tokenizer.unk_token_id, marked.tokenizer.eos_token_id = found.tokens[:2]
    again = telling_tokens(marked, sentiment, labelled(sentiment, "positive"))
    assert again is not None
    assert again.tokens == found.tokens[1:]
