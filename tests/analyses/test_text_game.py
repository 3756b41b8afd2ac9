"""The game of a text as a whole, on the model whose answers are known."""

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._game import all_masks
from conceptscope.analyses._moebius import moebius
from conceptscope.analyses._targets import LogOdds
from conceptscope.analyses._text_game import text_game
from conceptscope.hooks import load_model

TEXT = "the dog was not happy about it"
CHAT = "{% for m in messages %}{{ '<s>' + m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"


def test_what_plays_and_what_is_fixed(world):
    game = text_game(world, TEXT, [LogOdds("happy"), LogOdds("sad")])
    assert game.players == ("dog", "not", "happy")
    assert "".join(game.tokens) == f"<s>{TEXT}"
    assert sorted([*game.fixed, *(index for span in game.spans for index in span)]) == list(range(8))
    assert game.n_targets == 2
    assert game.targets == ("log-odds of 'happy'", "log-odds of 'sad'")
    assert game.baseline == "the mean embedding"
    assert repr(game) == f"TextGame({TEXT!r}, 3 players, prefix trie)"


def test_values_are_columns_of_all_values(world):
    game = text_game(world, TEXT, [LogOdds("happy"), LogOdds("sad")])
    masks = torch.tensor([[True, False, True], [False, False, True]])
    assert torch.allclose(game.values(masks), game.all_values()[:, [5, 4]], atol=1e-4)


def test_a_word_that_the_target_does_not_see_takes_part_in_nothing(world):
    """A concept read at the first word depends on no later one."""
    first = cs.Concept(torch.arange(128.0)[None], site="resid_post.2", position="first")
    game = text_game(world, "happy dog was not sad", first)
    assert game.players == ("happy", "dog", "not", "sad")
    effects = moebius(game.all_values())[0]
    assert effects[1].abs() > 1
    assert effects[2:].abs().max() < 1e-3


def test_too_many_players_are_refused_only_where_all_coalitions_are_asked(world):
    game = text_game(world, " ".join(["happy"] * 21), LogOdds("happy"))
    assert game.values(torch.ones(1, 21, dtype=torch.bool)).shape == (1, 1)
    with pytest.raises(ValueError, match="21 players"):
        game.all_values()


def test_masks_of_another_width_are_refused(world):
    with pytest.raises(ValueError, match="one column a player"):
        text_game(world, TEXT, LogOdds("happy")).values(torch.ones(1, 4, dtype=torch.bool))


def test_a_text_longer_than_the_context_is_refused(world):
    with pytest.raises(ValueError, match="positions for 128"):
        text_game(world, "happy " * 200, LogOdds("happy"))


def test_a_chats_game_is_that_of_its_rendering_with_the_template_kept(build):
    hf, tokenizer = build("gpt2")
    tokenizer.chat_template = CHAT
    model = load_model(hf, tokenizer=tokenizer)
    chat = [
        {"role": "user", "content": "She walked home."},
        {"role": "user", "content": "Paris likes apples"},
    ]
    game = text_game(model, chat, LogOdds(7), players="words")
    assert game.players == ("Paris", "likes", "apples")
    ids = tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True)["input_ids"]
    embed, by_hand = hf.get_input_embeddings(), []
    with torch.inference_mode():
        for mask in all_masks(3):
            x = embed(torch.tensor([ids])).clone()
            for present, span in zip(mask, game.spans, strict=True):
                if not present:
                    x[0, list(span)] = embed.weight.mean(0)
            p = hf(inputs_embeds=x).logits[0, -1].double().log_softmax(-1)[7]
            by_hand.append(p - torch.log(-torch.expm1(p)))
    torch.testing.assert_close(game.all_values()[0], torch.stack(by_hand), atol=1e-4, rtol=0)
