import json

import numpy as np
import pytest
import torch

from conceptscope.hooks import Examples
from conceptscope.hooks._fingerprint import fingerprint, labels_line

PARTS = {
    "labels": ["x", "y"],
    "groups": [("g", 1), ("g", 2)],
    "pairs": [0, None],
    "contexts": [[1.0, 2.0], [3.0, 4.0]],
    "spans": [(0, 1), None],
}


def made(texts=("a b", "c d"), **parts):
    return Examples(list(texts), **(PARTS | parts))


def test_the_same_examples_are_known_again():
    assert fingerprint(made()) == fingerprint(made(name="another name"))
    assert fingerprint(made(contexts=torch.tensor(PARTS["contexts"]))) == fingerprint(made())
    assert fingerprint(made(labels=np.array([1, 2]))) == fingerprint(made(labels=[np.int64(1), 2]))
    chat = [{"role": "user", "content": "hello"}]
    assert fingerprint(Examples([chat])) == fingerprint(Examples([tuple(chat)]))


@pytest.mark.parametrize(
    "change",
    [
        {"texts": ("a b", "c e")},
        {"texts": ("c d", "a b")},
        {"labels": ["x", "z"]},
        {"labels": None},
        {"groups": [("g", 1), ("h", 2)]},
        {"pairs": [0, 0]},
        {"contexts": [[1.0, 2.0], [3.0, 4.5]]},
        {"spans": [(0, 1), (0, 1)]},
    ],
)
def test_any_difference_is_noticed(change):
    assert fingerprint(made(**change)) != fingerprint(made())


def test_a_line_says_what_is_kept():
    said = json.loads(labels_line(made()))
    assert said == {
        "labels": ["x", "y"],
        "groups": [["g", 1], ["g", 2]],
        "pairs": [0, None],
        "contexts": [[1.0, 2.0], [3.0, 4.0]],
    }
    assert json.loads(labels_line(made(contexts=torch.ones(2, 3))))["contexts"] is None


def test_other_things_are_refused():
    for read in (fingerprint, labels_line):
        with pytest.raises(
            TypeError, match=r"a store keeps numbers and text beside activations: .* is a set"
        ):
            read(made(groups=[{1}, {2}]))
