import pytest
from conceptscope._console import sentence


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
