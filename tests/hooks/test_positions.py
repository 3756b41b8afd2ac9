import re
from typing import Any

import pytest

from conceptscope.hooks._positions import acts_on_generated, check_position, prompt_positions
from conceptscope.hooks._prompts import Prompt

# <s> The dog ran . </s>
PROMPT = Prompt(
    text="The dog ran.",
    ids=(0, 11, 12, 13, 14, 2),
    content=(1, 2, 3, 4),
    offsets=((0, 0), (0, 3), (3, 7), (7, 11), (11, 12), (0, 0)),
    spans=((4, 7), (11, 12)),
    roles=(("user", 0, 7), ("assistant", 8, 11)),
)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("last", [4]),
        ("first", [1]),
        ("all", [1, 2, 3, 4]),
        ("prompt", [1, 2, 3, 4]),
        ("generated", []),
        ("last|generated", [4]),
        ("first | last", [1, 4]),
        ("last|prompt", [1, 2, 3, 4]),
        (0, [1]),
        (-1, [4]),
        (-4, [1]),
        (3, [4]),
        ("span", [2, 4]),
        ("span|first", [1, 2, 4]),
        ("user", [1, 2]),
        ("assistant", [3]),
        (re.compile("dog"), [2]),
        (re.compile(r"o|r"), [2, 3]),
        (re.compile(r"he dog r"), [1, 2, 3]),
        (re.compile(r"n?\."), [3, 4]),
        (re.compile("x*n"), [3]),
    ],
)
def test_what_an_intervention_selects(position: Any, expected: list[int]) -> None:
    assert prompt_positions(position, PROMPT, for_capture=False) == expected


def test_mean_is_over_all_content() -> None:
    assert prompt_positions("mean", PROMPT, for_capture=True) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("all", True),
        ("generated", True),
        ("last|generated", True),
        ("prompt", False),
        ("last", False),
        (-1, False),
        (re.compile("."), False),
    ],
)
def test_which_rules_reach_generated_tokens(position: Any, expected: bool) -> None:
    assert acts_on_generated(position) is expected


@pytest.mark.parametrize("position", [4, -5, 100])
def test_an_index_outside_names_the_text_and_its_length(position: int) -> None:
    with pytest.raises(
        ValueError, match=rf"position {position} is outside 'The dog ran\.', which has 4 tokens"
    ):
        prompt_positions(position, PROMPT, for_capture=True)


def test_a_pattern_without_a_match_names_the_text() -> None:
    with pytest.raises(ValueError, match=r"'cat' matches nothing in 'The dog ran\.'"):
        prompt_positions(re.compile("cat"), PROMPT, for_capture=True)
    with pytest.raises(ValueError, match="matches nothing"):
        prompt_positions(re.compile("x*"), PROMPT, for_capture=True)


def test_a_match_between_tokens_selects_none() -> None:
    gap = Prompt("a b", (1, 2), (0, 1), ((0, 1), (2, 3)))
    with pytest.raises(ValueError, match="no token of 'a b' lies in a match"):
        prompt_positions(re.compile(" "), gap, for_capture=False)


@pytest.mark.parametrize(("position", "message"), [("span", "has no span"), ("tool", "no message of it")])
def test_what_a_prompt_does_not_have_is_refused(position: str, message: str) -> None:
    bare = Prompt("The dog", (1,), (0,), ((0, 7),))
    with pytest.raises(ValueError, match=message):
        prompt_positions(position, bare, for_capture=False)


def test_token_ids_without_a_text_have_no_patterns() -> None:
    with pytest.raises(ValueError, match="the prompt given as token ids: this needs a text"):
        prompt_positions(re.compile("a"), Prompt("", (1,), (0,)), for_capture=False)


def test_a_prompt_of_special_tokens_has_no_last_token() -> None:
    with pytest.raises(ValueError, match="no tokens but special ones"):
        prompt_positions("last", Prompt("", (0,), ()), for_capture=False)


@pytest.mark.parametrize(
    ("position", "for_capture", "message"),
    [
        ("lats", False, "unknown position 'lats': did you mean 'last'?"),
        ("", False, "unknown position ''"),
        ("last|", True, "unknown position ''"),
        ("mean", False, "'mean' is for capture only"),
        ("mean|last", True, "'mean' is for capture only and on its own"),
        ("generated", True, "a capture sees the prompt only"),
        ("last|generated", True, "a capture sees the prompt only"),
    ],
)
def test_rules_that_no_prompt_satisfies(position: str, for_capture: bool, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_position(position, for_capture=for_capture)


@pytest.mark.parametrize("position", [1.5, None, True, ["last"]])
def test_rules_of_another_type(position: Any) -> None:
    with pytest.raises(TypeError, match="expected a position like"):
        check_position(position, for_capture=True)
