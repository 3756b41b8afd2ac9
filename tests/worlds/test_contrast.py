"""The contrast sets: sound tables whose labels cannot be read off the length or the punctuation."""

from __future__ import annotations

import string
import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from conceptscope.worlds import contrast

CLASSES = {
    "sentiment": ("negative", "positive"),
    "truth": ("false", "true"),
    "tense": ("past", "present"),
    "number": ("plural", "singular"),
    "gender": ("feminine", "masculine"),
    "formality": ("formal", "informal"),
}
Report = Callable[[str, object], None]
SETS = pytest.mark.parametrize("name", sorted(CLASSES))


def test_names_are_the_six_concepts():
    assert set(contrast.NAMES) == set(CLASSES)


@SETS
def test_a_set_has_four_columns_of_one_length(name: str):
    data = contrast.examples(name)
    assert list(data) == ["texts", "labels", "groups", "pairs"]
    assert {len(data[key]) for key in data} == {len(data["texts"])}
    assert 240 <= len(data["texts"]) <= 300
    assert tuple(sorted(set(data["labels"]))) == CLASSES[name]


@SETS
def test_every_pair_holds_each_label_once_within_one_group(name: str):
    data = contrast.examples(name)
    rows = list(zip(data["pairs"], data["labels"], data["groups"], strict=True))
    pairs = sorted(set(data["pairs"]))
    assert pairs == list(range(len(data["texts"]) // 2))
    for pair in pairs:
        labels = sorted(label for number, label, _ in rows if number == pair)
        assert tuple(labels) == CLASSES[name]
        assert len({group for number, _, group in rows if number == pair}) == 1


@SETS
def test_groups_are_many_and_none_dominates(name: str):
    counts = Counter(contrast.examples(name)["groups"])
    assert len(counts) >= 10
    assert max(counts.values()) <= 0.15 * counts.total()


@SETS
def test_texts_are_unique_sentences_of_5_to_20_words(name: str):
    texts = contrast.examples(name)["texts"]
    assert len({text.lower() for text in texts}) == len(texts)
    for text in texts:
        assert 5 <= len(text.split()) <= 20, text
        assert text.isascii(), text
        assert text == " ".join(text.split()), text
        assert text[0].isupper(), text
        assert text[-1] in ".?!", text
        assert not set(text) & set('{}|"'), text


@SETS
def test_the_order_of_the_rows_does_not_give_the_label_away(name: str):
    first = contrast.examples(name)["labels"][::2]
    assert Counter(first)[CLASSES[name][0]] == pytest.approx(len(first) / 2, abs=1)


@SETS
@pytest.mark.parametrize("measure", ["characters", "words", "commas", "apostrophes", "punctuation"])
def test_length_and_punctuation_do_not_give_the_label_away(name: str, measure: str):
    data = contrast.examples(name)
    count = {
        "characters": len,
        "words": lambda text: len(text.split()),
        "commas": lambda text: text.count(","),
        "apostrophes": lambda text: text.count("'"),
        "punctuation": lambda text: sum(letter in string.punctuation for letter in text),
    }[measure]
    target = np.array(data["labels"]) == CLASSES[name][1]
    assert 0.4 < roc_auc_score(target, [count(text) for text in data["texts"]]) < 0.6


@SETS
def test_a_bag_of_words_on_held_out_groups_is_reported(name: str, record_property: Report):
    data = contrast.examples(name)
    bag = CountVectorizer(token_pattern=r"(?u)\b\w+\b")
    model = make_pipeline(bag, LogisticRegression(max_iter=2000))
    folds = GroupKFold(10)
    predicted = cross_val_predict(model, data["texts"], data["labels"], groups=data["groups"], cv=folds)
    accuracy = float(np.mean(predicted == np.array(data["labels"])))
    record_property("bag_of_words_accuracy", accuracy)
    if name == "truth":  # every false ending is a true one elsewhere, so single words must say nothing
        assert 0.4 < accuracy < 0.6


def test_some_sentiment_is_negated_and_its_bag_of_words_points_the_wrong_way():
    data = contrast.examples("sentiment")
    labels = dict(zip(data["texts"], data["labels"], strict=True))
    assert labels["Nobody could call that performance brilliant."] == "negative"
    assert labels["Nobody could call that performance terrible."] == "positive"


def test_an_unknown_name_is_refused_with_the_names():
    with pytest.raises(KeyError, match=r"no contrast set 'mood'.*formality.*truth"):
        contrast.examples("mood")


def test_reading_a_set_does_not_import_torch():
    code = (
        "import sys; from conceptscope.worlds import contrast; contrast.examples('tense');"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
