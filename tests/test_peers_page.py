"""The comparison with other libraries names tests that exist and links every claim about another library."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "peers.md").read_text()
LINKS = dict(re.findall(r"^\[([a-z0-9-]+)\]: (\S+)$", PAGE, re.MULTILINE))
HEAD, _, *ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"
]
VERDICTS = re.compile(r"\[?(yes|partly|no|not found)\b")


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[^`]+)`", PAGE)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_every_link_is_https_and_each_is_used() -> None:
    assert [link for link in LINKS.values() if not link.startswith("https://")] == []
    assert set(re.findall(r"\]\[([^\]]+)\]", PAGE)) == set(LINKS)
    assert "](" not in PAGE


def test_every_cell_says_how_far_and_where_it_is_shown() -> None:
    assert HEAD[1] == "conceptscope"
    for need, ours, *theirs in ROWS:
        assert len(theirs) == len(HEAD) - 2, need
        assert (ours == "no") != ("`tests/" in ours), (need, ours)
        for library, cell in zip(HEAD[2:], theirs, strict=True):
            verdict = VERDICTS.match(cell)
            assert verdict is not None, (need, library, cell)
            assert ("][" in cell) == (verdict[1] in ("yes", "partly")), (need, library, cell)
