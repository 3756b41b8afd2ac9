"""Words, tokens and spans of a text as players."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from conceptscope.analyses._players import Players, str_tokens, text_players
from conceptscope.analyses._stop_words import STOP_WORDS
from conceptscope.hooks import load_model
from conceptscope.hooks._prompts import encode

TEXT = "the dog was not happy, never happy about it"
CHAT = "{% for m in messages %}{{ '<s>' + m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"


@pytest.fixture(scope="module")
def tinyworld():
    return load_model("tinyworld")


def players(model, text=TEXT, given="words", fixed=None):
    return text_players(model, encode(model, [text])[0], given, fixed)


def covered(model, text, found):
    """What each player's tokens are, by the tokenizer's own offsets."""
    (prompt,) = encode(model, [text])
    return [
        prompt.text[prompt.offsets[span[0]][0] : prompt.offsets[span[-1]][1]].strip() for span in found.spans
    ]


def str_pieces(model, text):
    return [piece.strip() for piece in model.str_tokens(text)]


def test_words_but_for_stop_words_play_and_repeated_ones_are_numbered(tinyworld):
    found = players(tinyworld)
    assert found.labels == ("dog", "not", "happy", "never", "happy (2)")
    assert covered(tinyworld, TEXT, found) == ["dog", "not", "happy", "never", "happy"]


@pytest.mark.parametrize(
    "word", ["not", "no", "never", "isn't", "don't", "nor", "nothing", "without", "cannot"]
)
def test_negations_are_no_stop_words(word):
    assert word not in STOP_WORDS


def test_a_word_of_several_tokens_is_one_player(tiny):
    model, text = tiny("gpt2"), "Yesterday the bicycles weren't wonderful"
    found = players(model, text)
    assert found.labels == ("Yesterday", "bicycles", "weren't", "wonderful")
    assert covered(model, text, found) == list(found.labels)
    assert any(len(span) > 1 for span in found.spans)


def test_words_of_other_scripts_and_emoji_play(tiny):
    model, text = tiny("gpt2"), "😀 हिन्दी अच्छी 👍🏽"
    found = players(model, text)
    assert found.labels == tuple(text.split())
    assert covered(model, text, found) == text.split()


def test_fixed_replaces_the_stop_words(tinyworld):
    assert players(tinyworld, fixed=["Happy", "it"]).labels == (
        "the",
        "dog",
        "was",
        "not",
        "never",
        "about",
    )
    assert len(players(tinyworld, fixed=[]).labels) == 9


def test_tokens_are_players_without_special_ones(tinyworld):
    found = players(tinyworld, "the dog ran", "tokens")
    assert found == Players(("the", "dog", "ran"), ((1,), (2,), (3,)))


@pytest.mark.parametrize("text", [TEXT, "She  walked\nhome: 3 apples"])
def test_tokens_as_strings_make_up_the_text(tinyworld, tiny, text):
    for model in (tinyworld, tiny("gpt2")):
        (prompt,) = encode(model, [text])
        shown = str_tokens(model, prompt)
        assert len(shown) == len(prompt)
        assert "".join(shown).removeprefix("<s>") == text


def test_spans_are_strings_or_characters_in_the_order_of_the_text(tinyworld):
    found = players(tinyworld, given=["not happy", (0, 7)])
    assert found.labels == ("the dog", "not happy")
    assert found.spans == ((1, 2), (4, 5))


def test_of_a_chat_only_the_last_message_of_the_user_plays(build):
    hf, tokenizer = build("gpt2")
    tokenizer.chat_template = CHAT
    model = load_model(hf, tokenizer=tokenizer)
    chat = [
        {"role": "user", "content": "She walked home."},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Paris likes apples"},
    ]
    assert players(model, chat).labels == ("Paris", "likes", "apples")
    tokens = players(model, chat, "tokens")
    assert [label.split(" (")[0] for label in tokens.labels] == str_pieces(model, "Paris likes apples")
    assert players(model, chat, ["apples"]).labels == ("apples",)
    with pytest.raises(ValueError, match="no message of the user"):
        players(model, [{"role": "assistant", "content": "Yes"}])


def test_without_offsets_words_are_found_by_decoding(tinyworld):
    (prompt,) = encode(tinyworld, ["the dog was not happy"])
    bare = replace(prompt, offsets=())
    assert text_players(tinyworld, bare, "words", None) == text_players(tinyworld, prompt, "words", None)


def test_a_token_that_cannot_be_found_is_refused(tinyworld):
    (prompt,) = encode(tinyworld, ["the dog was xyzzy"])
    with pytest.raises(ValueError, match="fast tokenizer"):
        text_players(tinyworld, replace(prompt, offsets=()), "words", None)


def test_absent_tokens_are_those_of_absent_players():
    found = Players(("a", "b"), ((1, 4), (2,)))
    absent = found.absent(torch.tensor([[True, False], [False, True], [True, True]]), 5)
    assert absent.nonzero().tolist() == [[0, 2], [1, 1], [1, 4]]


@pytest.mark.parametrize(
    ("given", "fixed", "message"),
    [
        ("word", None, "'words', 'tokens' or a list"),
        (["cat"], None, "'cat' does not occur"),
        (["happy"], None, "occurs 2 times"),
        ([""], None, "does not occur"),
        ([(5, 5)], None, "not inside"),
        ([(0, 99)], None, "not inside"),
        ([(3, 4)], None, "no tokens"),
        (["dog was", "was not"], None, "share a token"),
        (["dog"], ["not"], "fixed= is for"),
        ([], None, "no player is left"),
    ],
)
def test_players_that_make_no_sense_are_refused(tinyworld, given, fixed, message):
    with pytest.raises(ValueError, match=message):
        players(tinyworld, given=given, fixed=fixed)


def test_a_text_of_stop_words_says_what_to_do(tinyworld):
    with pytest.raises(
        ValueError, match=r"all of its words are fixed; choose players='tokens', or fixed=\[\]"
    ):
        players(tinyworld, "it was the")


@pytest.mark.parametrize("given", [[3], [("a", "b", "c")], [SimpleNamespace()]])
def test_players_of_another_type_are_refused(tinyworld, given):
    with pytest.raises(TypeError, match="string of the text or"):
        players(tinyworld, given=given)


def test_one_string_as_fixed_is_refused(tinyworld):
    with pytest.raises(TypeError, match=r"\['not'\]"):
        players(tinyworld, fixed="not")
