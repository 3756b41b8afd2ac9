import copy

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from conceptscope.analyses import Target, time_to_unlock
from conceptscope.hooks import Examples, HookedModel, generate, load_model
from conceptscope.worlds.tinyworld._evaluate import negated_futures
from conceptscope.worlds.tinyworld._texts import Text


def told(text: Text, opposite: bool) -> tuple[str, str, set[str]]:
    """A text up to the word that negation determines, the word, and all that would do."""
    mark = next(mark for mark in text.marks if mark.factor == "negation")
    words = mark.wrong if opposite else mark.right
    at = mark.right.index(text.words[mark.position])
    return " ".join(text.words[: mark.position]), words[at], set(words)


def fine_tuning(opposite: bool) -> Examples:
    rows = [told(text, opposite) for text in negated_futures(32, generator=8)]
    spans = [(len(head) + 1, len(head) + 1 + len(word)) for head, word, _ in rows]
    return Examples([f"{head} {word}" for head, word, _ in rows], spans=spans)


def of_sentiment(sentiment: str, opposite: bool) -> Target:
    texts = [text for text in negated_futures(100, generator=7) if text.factors["sentiment"] == sentiment]
    rows = [told(text, opposite) for text in texts]
    right = set.union(*(words for _, _, words in rows))
    return Target([head for head, _, _ in rows], {"negation": lambda said: said.strip() in right})


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load_model("tinyworld")


@pytest.mark.parametrize("sentiment", ["positive", "negative"])
def test_a_held_out_combination_is_unlocked_sooner_than_its_opposite_is_learned(
    model: HookedModel, sentiment: str
) -> None:
    before = model.hf.state_dict()["model.norm.weight"].clone()
    target, other = (of_sentiment(sentiment, opposite) for opposite in (False, True))
    assert 0.2 < target.share_right(generate(model, target.prompts, max_new_tokens=1)) < 0.8
    times = [
        time_to_unlock(model, fine_tuning(opposite), one, max_new_tokens=1, threshold=0.98, steps=6)
        for opposite, one in ((False, target), (True, other))
    ]
    assert times[0] is not None
    assert times[1] is not None
    assert times[0] <= 2 < times[1]
    assert torch.equal(before, model.hf.state_dict()["model.norm.weight"])
    assert all(parameter.grad is None for parameter in model.hf.parameters())


def test_a_step_is_adamw_on_the_spans(model: HookedModel) -> None:
    """Against a loop by hand on one text, whose last word is learned."""
    text, n = "the dog was not happy . it was huge", 3
    prompt = text.removesuffix(" huge")
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    pupil = copy.deepcopy(model.hf)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=2e-3)
    said = []
    for _ in range(n + 1):
        said.append(generate(load_model(pupil, tokenizer=model.tokenizer), [prompt], max_new_tokens=1)[0])
        loss = -pupil(ids).logits[0, -2].log_softmax(-1)[ids[0, -1]]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    data = Examples([text], spans=[(len(prompt) + 1, len(text))])
    assert len(set(said)) > 1
    for step, words in enumerate(said):
        if words not in said[:step]:
            target = Target([prompt], {"said": lambda text, wanted=words: text == wanted})
            found = time_to_unlock(model, data, target, steps=n, learning_rate=2e-3, max_new_tokens=1)
            assert found == step


def test_nothing_is_needed_or_nothing_suffices(model: HookedModel) -> None:
    said = {
        True: Target(["the dog"], {"any": lambda text: True}),
        False: Target(["the dog"], {"no": lambda text: False}),
    }
    assert time_to_unlock(model, ["the dog ran ."], said[True]) == 0
    assert time_to_unlock(model, ["the dog ran ."], said[False], steps=2) is None


def test_refuses(model: HookedModel) -> None:
    target = Target(["the dog"], {"any": lambda text: True})
    with pytest.raises(ValueError, match="steps must be a whole number from 1 on, got 0"):
        time_to_unlock(model, ["a"], target, steps=0)
    never = Target(["the dog"], {"no": lambda text: False})
    first = Examples(["the dog", "the dog"], spans=[(4, 7), (0, 3)])
    bare = copy.deepcopy(model.tokenizer)
    bare.backend_tokenizer.post_processor = TemplateProcessing(single="$A")
    with pytest.raises(ValueError, match="text 1 has no token to learn after its first"):
        time_to_unlock(load_model(model.hf, tokenizer=bare), first, never)
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        time_to_unlock(model, ["a"], target, learning_rate=0)
    with pytest.raises(ValueError, match="threshold must be above 0 and at most 1"):
        time_to_unlock(model, ["a"], target, threshold=2)
