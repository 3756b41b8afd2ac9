import pytest

from conceptscope.analyses import Target
from conceptscope.hooks import Examples

SUCCESS = {"size": lambda text: "small" in text, "colour": lambda text: "blue" in text}
TRAIN = {(): ["a large red"], ("size",): ["a small red"], ("colour",): ["a large blue"]}


def test_a_share_counts_texts_with_all_concepts_right_and_no_others() -> None:
    target = Target(["x"], SUCCESS, TRAIN)
    written = ["small blue", "small red", "large blue", "blue small", "large red"]
    assert target.share_right(written) == 0.4
    for combination in TRAIN:
        assert target.share_right(written, combination) == 0.2


def test_contrasts_differ_in_the_concept_alone() -> None:
    success = {name: lambda text: True for name in "abc"}
    cube = [(), ("a",), ("b",), ("c",), ("a", "b"), ("c", "a")]
    target = Target(["x"], success, {one: ["y"] for one in cube})
    for name in "abc":
        pairs = {
            (frozenset(one), frozenset(other))
            for one in cube
            for other in cube
            if set(one) ^ set(other) == {name} and name in one
        }
        assert set(target.contrasts(name)) == pairs
    assert len(target.contrasts("a")) == 3


def test_prompts_become_examples_and_it_shows_itself() -> None:
    target = Target(["x", "y"], SUCCESS, {**TRAIN, (): Examples(["z"])})
    assert isinstance(target.prompts, Examples)
    assert all(isinstance(prompts, Examples) for prompts in target.train.values())
    assert repr(target) == "Target(size and colour, 2 prompts; trained: none, size, colour)"
    assert repr(Target(["x"], SUCCESS)) == "Target(size and colour, 1 prompt)"


def test_refuses() -> None:
    with pytest.raises(ValueError, match="success names no concept"):
        Target(["x"], {}, TRAIN)
    with pytest.raises(TypeError, match=r"success\['size'\] must be a function of the text, got 'small'"):
        Target(["x"], {"size": "small"}, TRAIN)  # type: ignore[dict-item]
    with pytest.raises(TypeError, match=r"got 'size': write \('size',\)"):
        Target(["x"], SUCCESS, {"size": ["y"]})
    with pytest.raises(KeyError, match="train has the concept 'shape', which success does not"):
        Target(["x"], SUCCESS, {("shape",): ["y"]})
    with pytest.raises(ValueError, match="train has the target's own combination, size and colour"):
        Target(["x"], SUCCESS, {**TRAIN, ("colour", "size"): ["y"]})
    with pytest.raises(ValueError, match="no two combinations in train differ in 'colour' alone"):
        Target(["x"], SUCCESS, {(): ["y"], ("size",): ["z"]})
    same = {("a", "b"): ["x"], ("b", "a"): ["y"]}
    with pytest.raises(ValueError, match="twice: put its prompts together"):
        Target(["x"], {name: lambda text: True for name in "abc"}, same)
    with pytest.raises(TypeError, match="list"):
        Target("x", SUCCESS)
