import subprocess
import sys

import pytest

from conceptscope._console import printable, sentence


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("two\n  lines"), "two lines"),
        (KeyError("no quotes"), "no quotes"),
        (OSError(), "OSError"),
        (FileNotFoundError(2, "No such file or directory", "/x/y"), "No such file or directory: /x/y"),
    ],
)
def test_an_error_becomes_one_line(error: Exception, said: str) -> None:
    assert sentence(error) == said


def test_control_characters_are_written_out() -> None:
    assert printable("a\x1b[31mb\nc\u202ed é") == "a\\x1b[31mb\nc\\u202ed é"
    assert printable("👨\u200d👩\u200d👧 ❤\ufe0f می\u200cخواهم") == "👨\u200d👩\u200d👧 ❤\ufe0f می\u200cخواهم"


QUIET = """
import warnings
from conceptscope._console import quiet
quiet()
for _ in range(2):
    warnings.warn("something of a library", UserWarning)
    warnings.warn("about 80% of the tokens are '<unk>': the tokenizer ...", UserWarning)
    warnings.warn("the weights of 'folder' lack lm_head.weight: LlamaModel is loaded", UserWarning)
"""


def test_only_warnings_that_can_be_acted_on_are_said_once_each() -> None:
    said = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True).stderr
    assert [line.split(":")[0] for line in said.splitlines()] == [
        "about 80% of the tokens are '<unk>'",
        "the weights of 'folder' lack lm_head.weight",
    ]
