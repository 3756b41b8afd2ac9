import re

import numpy as np
import pytest

import conceptscope as cs

COLOURS = ["red", "blue", "dark red"]
TEXTS = [f"a {size} {colour} dog" for size in ("small", "large") for colour in COLOURS] * 20 + [
    "a reddish cat"
] * 10
DATA = cs.Examples(TEXTS, [text.split()[1] for text in TEXTS])


def masked(examples: cs.Examples) -> set[int]:
    return {row for row, text in enumerate(examples.texts) if text != DATA.texts[row]}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_texts_that_have_the_words(share: float) -> None:
    found = cs.mask_concept(DATA, COLOURS, share)
    assert len(masked(found)) == round(120 * share)
    assert all(re.fullmatch(r"a (small|large) dog", found.texts[row]) for row in masked(found))
    assert found.labels == DATA.labels
    assert found.texts[120:] == DATA.texts[120:]


def test_a_greater_share_hides_what_a_smaller_does() -> None:
    sets = [masked(cs.mask_concept(DATA, COLOURS, share)) for share in (0.1, 0.3, 0.7)]
    assert sets[0] < sets[1] < sets[2]
    assert sets[1] != masked(cs.mask_concept(DATA, COLOURS, 0.3, generator=1))


def test_groups_are_hidden_together() -> None:
    groups = [row // 4 for row in range(len(DATA))]
    grouped = cs.Examples(DATA.texts, groups=groups)
    rows = masked(cs.mask_concept(grouped, COLOURS, 0.5))
    assert {row // 4 for row in rows} == {row // 4 for row in rows if row // 4 * 4 in rows}
    assert len(rows) == 60
    assert np.bincount([row // 4 for row in rows]).max() == 4


def test_a_mask_stands_in_place_of_each_word() -> None:
    data = cs.Examples(["Red and dark red", "blue"])
    assert cs.mask_concept(data, COLOURS, 1, mask="[?]").texts == ["[?] and [?]", "[?]"]
    assert cs.mask_concept(data, re.compile("[Rr]ed"), 1, mask=r"\1").texts == [r"\1 and dark \1", "blue"]
    assert cs.mask_concept(cs.Examples(["the dog is red ."]), "red", 1).texts == ["the dog is ."]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="share is between 0 and 1"):
        cs.mask_concept(DATA, COLOURS, 1.5)
    with pytest.raises(ValueError, match="no text has any of"):
        cs.mask_concept(DATA, "green", 0.5)
    with pytest.raises(ValueError, match="there are no words to hide"):
        cs.mask_concept(DATA, [], 0.5)
    with pytest.raises(ValueError, match="'red' is nothing but the concept's words"):
        cs.mask_concept(cs.Examples(["red"]), "red", 1)
    with pytest.raises(ValueError, match="the examples have spans"):
        cs.mask_concept(cs.Examples(["a red dog"], spans=[(2, 5)]), "red", 1)
    with pytest.raises(TypeError, match="example 0 is a chat"):
        cs.mask_concept(cs.Examples([[{"role": "user", "content": "red"}]]), "red", 1)
