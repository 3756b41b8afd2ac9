import re

import pytest

from conceptscope.hooks._noted_position import noted_position


@pytest.mark.parametrize(
    "rule",
    [
        "last",
        "last|generated",
        "user | span",
        3,
        -2,
        re.compile("cat"),
        re.compile("happy|sad", re.IGNORECASE),
        re.compile("a, re.I[)]'\"\n", re.MULTILINE | re.DOTALL),
        re.compile(r"\bcat\)"),
    ],
)
def test_what_was_noted_is_the_rule(rule: object) -> None:
    assert noted_position(str(rule)) == rule


@pytest.mark.parametrize(
    "said", ["lst", "", str(re.compile("x" * 300)), "re.compile(3)", "re.compile(')", "re.compile('(')"]
)
def test_what_is_no_rule_is_none(said: str) -> None:
    assert noted_position(said) is None
