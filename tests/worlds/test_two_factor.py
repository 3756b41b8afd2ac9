import math

import pytest
import torch

from conceptscope.hooks import generate, load_model
from conceptscope.worlds import two_factor


def test_a_trained_model_answers_what_it_was_trained_on() -> None:
    (_, untrained), (_, model) = two_factor.checkpoints([0, 90])
    assert (two_factor.gaps(model) > 0.8 * 0.9).all()
    assert (two_factor.gaps(untrained).abs() < 0.1).all()
    hooked = load_model(model, tokenizer=two_factor.tokenizer())
    expected = {("large", "red"): "big warm", ("small", "red"): "tiny warm", ("large", "blue"): "big cool"}
    for (size, colour), answer in expected.items():
        said = generate(hooked, two_factor.prompts(size, colour), max_new_tokens=2)
        assert {text.strip() for text in said} == {answer}
        rights = [meets(answer) for meets in two_factor.SUCCESS.values()]
        assert rights == [size == "small", colour == "blue"]


def test_training_texts_follow_their_prompts_with_the_signals_probabilities() -> None:
    rng = torch.Generator().manual_seed(0)
    signals, masked = torch.tensor([0.2, 0.45]), torch.tensor([0.0, 0.5])
    texts = torch.cat([two_factor._texts(signals, masked, rng) for _ in range(300)])
    words = [[two_factor._WORDS[token] for token in row] for row in texts.tolist()]
    n = len(words)
    assert not any(row[:2] == ["small", "blue"] for row in words)
    assert {row[2] for row in words} == set(two_factor.THINGS)
    suits = sum((row[0] == "small") == (row[4] == "tiny") for row in words) / n
    said = [row for row in words if row[1] != two_factor.UNSAID]
    cool = sum((row[1] == "blue") == (row[5] == "cool") for row in said) / len(said)
    assert suits == pytest.approx(0.7, abs=4 * math.sqrt(0.21 / n))
    assert cool == pytest.approx(0.95, abs=4 * math.sqrt(0.05 / n))
    assert len(said) / n == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / n))


def test_gaps_are_differences_of_next_token_probabilities() -> None:
    ((_, model),) = two_factor.checkpoints([20])
    ids = two_factor.tokenizer()
    p = {}
    for size, colour, answer in (("large", "red", "big"), ("small", "red", "tiny"), ("large", "blue", "big")):
        for at, said in enumerate(("", f" {answer}")):
            texts = [f"{prompt}{said}" for prompt in two_factor.prompts(size, colour)]
            with torch.no_grad():
                logits = [model(**ids(text, return_tensors="pt")).logits[0, -1] for text in texts]
            token = ids.convert_tokens_to_ids(("tiny", "cool")[at])
            p[size, colour, at] = torch.stack(logits).softmax(-1)[:, token].mean()
    expected = [p["small", "red", 0] - p["large", "red", 0], p["large", "blue", 1] - p["large", "red", 1]]
    torch.testing.assert_close(two_factor.gaps(model), torch.stack(expected))


def test_a_stronger_signal_is_learned_sooner_and_a_masked_one_later() -> None:
    strong, weak, masked = (
        two_factor.learning_times(100, signals=(0.45, colour), masked=(0.0, share))[1]
        for colour, share in ((0.45, 0.0), (0.2, 0.0), (0.45, 0.7))
    )
    assert strong is not None
    assert weak is not None
    assert masked is not None
    assert strong < weak
    assert strong < masked


def test_the_seed_decides_and_nothing_seeds_globally() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (two_factor.train(2, generator=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    weights = [model.lm_head.weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_refuses() -> None:
    with pytest.raises(KeyError, match="no 'green': there are red and blue"):
        two_factor.prompts("small", "green")
    with pytest.raises(ValueError, match="signals must be above 0 and at most"):
        two_factor.train(1, signals=(0.0, 0.4))
    with pytest.raises(ValueError, match="masked shares must be from 0 on and below 1"):
        two_factor.train(1, masked=(0.0, 1.0))
    with pytest.raises(ValueError, match="no steps were given"):
        two_factor.checkpoints([])
