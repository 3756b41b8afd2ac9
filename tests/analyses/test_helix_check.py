"""Sums whose first number is moved, beside patches of the activations themselves."""

import numpy as np
import pytest

import conceptscope as cs
from conceptscope.analyses._helix_check import _drawn

SUM = "{a} plus {b} is"


@pytest.fixture(scope="module")
def embedded(world: cs.HookedModel) -> cs.NumberHelix:
    acts = cs.capture(world, cs.number_examples(["{} plus"], range(100)), "embed", position="span")
    return cs.fit_number_helix(acts)


def test_number_texts_are_read_at_the_last_digit():
    found = cs.number_examples(["{} plus", "after {} comes"], [7, 42])
    assert found.texts == ["7 plus", "42 plus", "after 7 comes", "after 42 comes"]
    assert list(found.labels) == [7, 42, 7, 42]
    assert [text[slice(*span)] for text, span in zip(found.texts, found.spans, strict=True)] == list("7272")


@pytest.mark.parametrize("texts", [[], ["plus"], ["{} plus {}"]])
def test_texts_without_one_place_are_refused(texts):
    with pytest.raises(ValueError, match=r"\{\}"):
        cs.number_examples(texts, [1])


def test_sums_stay_within_the_numbers(embedded):
    a, b, other = _drawn(embedded, 300, np.random.default_rng(0))
    assert (a + b).max() <= 99
    assert (other + b).max() <= 99
    assert (a != other).all()


def test_the_means_move_sums_as_a_patch_does_and_the_helix_of_a_curve_does_not(world, embedded):
    found = cs.check_helix_shift(world, embedded, SUM, n=24)
    moved = {score.name: score.moved for score in found.scores}
    assert list(moved) == ["nothing", "means", "helix", "polynomial", "line"]
    assert found.right >= 0.85
    assert moved["nothing"] == 0.0
    assert moved["means"] >= 0.95
    assert moved["helix"] <= 0.2
    lengths = found.to_frame().length
    assert lengths["polynomial"] == pytest.approx(lengths["helix"])
    source = cs.capture(world, ["30 plus 5 is"], "embed", position="all")
    with cs.intervene(world, cs.patch(source, positions="first")):
        patched = cs.generate(world, ["3 plus 5 is"], max_new_tokens=1)
    with cs.intervene(world, cs.helix_shift(embedded, 3, 30, basis="means", positions="first")):
        assert cs.generate(world, ["3 plus 5 is"], max_new_tokens=1) == patched == [" 35"]


def test_what_is_shown_and_the_same_seed(world, embedded):
    one, two = (cs.check_helix_shift(world, embedded, SUM, n=6, generator=1) for _ in range(2))
    assert one.to_frame().equals(two.to_frame())
    assert repr(one).startswith("ShiftCheck(embed, 6 sums, 1.00 right; moved: nothing 0.00, means 1.00")
    assert "6 sums" in one._repr_html_()
    assert [text.get_text() for text in one.plot().get_xticklabels()] == list(one.to_frame().index)


def test_what_cannot_be_checked_is_refused(world, embedded):
    with pytest.raises(ValueError, match=r"the prompt needs \{a\} and \{b\}"):
        cs.check_helix_shift(world, embedded, "{a} plus 5 is")
    with pytest.raises(ValueError, match="n must be a whole number"):
        cs.check_helix_shift(world, embedded, SUM, n=0)
    acts = cs.capture(world, cs.number_examples(["{} plus"], range(60, 100)), "embed", position="span")
    with pytest.raises(ValueError, match="no two of the numbers 60 to 99 have a sum among them"):
        cs.check_helix_shift(world, cs.fit_number_helix(acts, periods=[10]), SUM)
