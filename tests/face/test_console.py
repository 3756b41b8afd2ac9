import pytest

from conceptscope._console import printable, sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (KeyError("no quotes"), "no quotes"),
        (OSError(), "OSError"),
    ],
)
def test_an_error_becomes_one_line(error: Exception, said: str) -> None:
    assert sentence(error) == said


def test_control_characters_are_written_out() -> None:
    assert printable("a\x1b[31mb\nc\u202ed é") == "a\\x1b[31mb\nc\\u202ed é"
