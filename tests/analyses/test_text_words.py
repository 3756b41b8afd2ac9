"""Words in any script, and emoji."""

import re

import pytest

from conceptscope.analyses._text_words import word_spans


def words(text):
    return [text[start:end] for start, end in word_spans(text, 0, len(text))]


@pytest.mark.parametrize(
    "text",
    [
        "The dog was n't happy, never!",
        "weren\u2019t well-known a-b-c -x- it's",
        "Ünïcödé naïve №5 x_1 ½ ²",
        "狗 很高兴 3.5",
    ],
)
def test_without_marks_and_emoji_words_are_runs_of_word_characters(text):
    assert words(text) == re.findall(r"\w+(?:['\u2019-]\w+)*", text)


@pytest.mark.parametrize(
    "text",
    [
        "हिन्दी अच्छी है",
        "שָׁלוֹם עולם",
        "cafe\u0301 bru\u0302le\u0301e",
        "السَّلَامُ عَلَيْكُمْ",
        "ภาษาไทย ดี",
        "می\u200cخواهم نه",
    ],
)
def test_a_word_keeps_its_accents_and_vowel_signs(text):
    assert words(text) == text.split()


@pytest.mark.parametrize("text", ["😀 🎉", "👨\u200d👩\u200d👧 ❤\ufe0f 👍🏽", "🇩🇪 🇫🇷", "🏳\ufe0f\u200d🌈 ☕"])
def test_an_emoji_is_a_word_however_many_characters_make_it(text):
    assert words(text) == text.split()
    assert words(text.replace(" ", "")) == text.split()


def test_signs_are_no_words():
    assert words("20 °C © → — ... #1 'quoted'") == ["20", "C", "1", "quoted"]


def test_only_what_lies_between_two_characters_is_looked_at():
    assert list(word_spans("one two three", 4, 7)) == [(4, 7)]
    assert list(word_spans("one two three", 5, 13)) == [(5, 7), (8, 13)]
