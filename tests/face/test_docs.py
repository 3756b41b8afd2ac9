"""The pages of the documentation run as they are written."""

import importlib.util
import itertools
import re
from pathlib import Path
from types import ModuleType

import pytest

import conceptscope as cs

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_in_its_order(page: Path) -> None:
    """Each block where it stands in the file, all in one namespace; then the tests that the page defines."""
    text = page.read_text()
    names: dict[str, object] = {"__name__": "__main__"}
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        lines_before = "\n" * text.count("\n", 0, block.start(1))
        exec(compile(lines_before + block[1], str(page), "exec", dont_inherit=True), names)
    for test in [value for name, value in names.items() if name.startswith("test_")]:
        for case in cases(test):
            test(**case)  # type: ignore[operator]


def cases(test: object) -> list[dict[str, object]]:
    """The arguments of each run of a test that may be parametrised."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    each = [[case(mark.args[0], row) for row in mark.args[1]] for mark in marks]
    return [{k: v for part in parts for k, v in part.items()} for parts in itertools.product(*each)]


def case(names: str | tuple[str, ...], row: object) -> dict[str, object]:
    """One name with its value, or several with theirs."""
    return {names: row} if isinstance(names, str) else dict(zip(names, row, strict=True))  # type: ignore


def test_there_are_pages_and_links_to_them_lead_somewhere() -> None:
    assert PAGES
    for page in (*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("room", ["hooks", "probes", "analyses"])
def test_the_page_of_a_room_leads_to_each_of_its_names_once(room: str) -> None:
    rows = re.findall(r"^\| .* \|$", (ROOT / f"docs/api/{room}.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(getattr(cs, room).__all__)


@pytest.fixture
def docstrings() -> ModuleType:
    pytest.importorskip("griffe", reason="the site's tools are not installed")
    spec = importlib.util.spec_from_file_location("docstrings", ROOT / "docs/docstrings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a: one that\ngoes on. b, C: two.", "\n- `a`: one that\ngoes on.\n- `b`, `C`: two."),
        ("a: one\n    more\nno part", "\n- `a`: one\n    more\n\nno part"),
        ("words; none: of them", "words; none: of them"),
        ("Words. a and b: both", "Words.\n\n- `a`, `b`: both"),
        (">>> print('a: one')", "```pycon\n>>> print('a: one')\n```"),
        ("Source: arXiv 1", "*Source*: arXiv 1"),
        ("see `sweep`, `nothing`", "see [`sweep`][conceptscope.probes.sweep], `nothing`"),
    ],
)
def test_docstrings_become_lists_fences_and_links(docstrings: ModuleType, said: str, shown: str) -> None:
    assert docstrings.listed(said, {"a", "b", "C"}) == shown
