import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

import conceptscope as cs
from conceptscope._page import report_page
from conceptscope._page._axes import Axes, spread, ticks
from conceptscope._page._lines import Line, LineChart

VOID = {"meta", "link", "input", "br"}
DRAWN = {"svg", "g", "line", "rect", "circle", "polyline", "polygon", "text"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
TEXTS = {"h1", "h2", "h3", "p", "b", "q", "small", "span", "a", "ul", "li", "dl", "dt", "dd", "pre", "code"}
FRAMES = {"html", "head", "title", "style", "script", "body", "header", "main", "nav", "section", "div"}
PARTS = {"figure", "figcaption", "details", "summary", "label", "output"}
KNOWN = VOID | DRAWN | TABLES | TEXTS | FRAMES | PARTS

EVIL = [
    "</script><script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    "\" onfocus='alert(3)' autofocus x=\"",
    "<!-- </svg></style> -->&lt;b&gt;",
    "caf\u00e9 \U0001f600 \u202e reversed",
]


class Parsed(HTMLParser):
    """Elements with their attributes, the text, and what is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [given for _, given in self.elements if name in (given.get("class") or "").split()]


@pytest.fixture(scope="module")
def made(tiny: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> cs.Report:
    """A report whose texts, labels, groups and name all try to leave their places."""
    rows = [
        (f"{evil} number {n} was {end}", end) for evil in EVIL for n in range(3) for end in ("good", "cold")
    ]
    labels = ["<b>good</b>" if end == "good" else "'><i>bad" for _, end in rows]
    data = cs.Examples(
        [text for text, _ in rows], labels, groups=[text[:9] for text, _ in rows], name="<u>mine</u>"
    )
    page = tmp_path_factory.mktemp("page") / "page.html"
    return cs.report(
        tiny("llama"), data, page, strengths=[-2, 0, 2], max_new_tokens=3, directions=19, sentences=3, folds=3
    )


@pytest.fixture(scope="module")
def page(made: cs.Report) -> str:
    return made.page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


def test_it_is_whole(parsed: Parsed) -> None:
    assert parsed.open == []
    assert {name for name, _ in parsed.elements} <= KNOWN
    names = [given["id"] for _, given in parsed.elements if "id" in given]
    assert len(names) == len(set(names))
    links = {given["href"] for given in parsed.all("a")}
    assert links == {f"#{name}" for name in ("where", "sure", "shape", "steering", "apart", "use")}
    assert links <= {f"#{name}" for name in names}


def test_it_needs_nothing_else(parsed: Parsed, page: str) -> None:
    loading = {"src", "srcset", "data", "action", "poster", "xlink:href", "background"}
    assert not [given for _, given in parsed.elements if loading & given.keys()]
    assert [given["href"] for given in parsed.all("link")] == ["data:,"]
    assert "url(" not in page
    assert "@import" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_nothing_of_the_users_is_code(parsed: Parsed, page: str) -> None:
    script = files("conceptscope._page").joinpath("page.js").read_text("utf-8")
    assert len(parsed.all("script")) == len(parsed.all("style")) == 1
    assert script in parsed.texts
    assert not [name for _, given in parsed.elements for name in given if name.startswith("on")]
    assert not parsed.all("img")
    assert not parsed.all("i")
    said = "".join(parsed.texts) + "".join(given.get("aria-label") or "" for given in parsed.of_class("mark"))
    for evil in EVIL:
        assert evil in said
    assert "<b>good</b>" in said
    assert "<u>mine</u>" in said


def test_words_read_from_the_right_leave_the_rest_of_a_line_alone(parsed: Parsed) -> None:
    labels = [given["aria-label"] or "" for given in parsed.of_class("mark")]
    turned = [label for label in labels if "\u202e" in label]
    assert len(turned) == 6
    assert all(label.index("\u2068") < label.index("\u202e") for label in turned)
    assert all(label.endswith("\u2069") for label in turned)
    assert not [label for label in labels if "\u2068" in label and label not in turned]


def test_only_its_own_script_may_run(parsed: Parsed) -> None:
    [policy] = [given["content"] for given in parsed.all("meta") if "http-equiv" in given]
    script = files("conceptscope._page").joinpath("page.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert policy.endswith(f"script-src 'sha256-{digest}'")


def test_every_site_every_dose_and_every_text_has_its_mark(parsed: Parsed, made: cs.Report) -> None:
    labels = [given["aria-label"] or "" for given in parsed.of_class("mark")]
    for one in made.sweep.scores:
        assert isinstance(made.sweep, cs.ProbeSweep)
        low, high = one.accuracy_low, one.accuracy_high
        expected = f"{one.site}: accuracy {one.accuracy:.2f} [{low:.2f}, {high:.2f}]"
        assert sum(label.startswith(expected) for label in labels) == 1
    assert made.doses is not None
    for dose in made.doses.doses:
        expected = f"{dose.kl.value:.2f} [{dose.kl.low:.2f}, {dose.kl.high:.2f}]"
        assert any(expected in label for label in labels)
    readings = [label for label in labels if " sd, " in label]
    assert len(readings) == len(made.examples)
    held_out = made.sweep.held_out
    wrong = held_out.predicted(made.concept.site) != held_out.codes
    assert len(parsed.of_class("wrong")) == wrong.sum() > 0
    assert len(parsed.of_class("missed")) == 1
    reached = [given for given in parsed.of_class("mark") if given["tabindex"] == "0"]
    assert len(reached) == len(parsed.all("figure"))


def test_readings_have_the_sign_of_their_direction(parsed: Parsed, made: cs.Report) -> None:
    labels = [given["aria-label"] or "" for given in parsed.of_class("mark")]
    shown = sorted(float(label.split(" sd, ")[0]) for label in labels if " sd, " in label)
    scores = made.sweep.held_out.scores[made.concept.site][:, 0]
    assert np.allclose(shown, np.sort(scores), atol=0.006)


def test_every_text_of_every_strength_is_there(parsed: Parsed, made: cs.Report) -> None:
    assert made.doses is not None
    said = "".join(parsed.texts)
    assert [given["data-name"] for given in parsed.of_class("panel")] == ["-2 sd", "0 sd", "+2 sd"]
    for dose in made.doses.doses:
        for text in dose.texts:
            assert text in said
    assert len(parsed.of_class("written")) == 3 * len(made.prompts)


def test_every_section_says_what_may_not_be_concluded(page: str) -> None:
    for name in ("where", "sure", "shape", "steering", "apart"):
        [part] = re.findall(rf'<section id="{name}">.*?</section>', page, re.DOTALL)
        assert "What may not be concluded." in part


def test_the_lines_that_load_the_concept_run(
    page: str, made: cs.Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"<code>(.*?)</code>", page, re.DOTALL)
    lines = code.replace("&#x27;", "'").replace("&quot;", '"').splitlines()
    monkeypatch.chdir(made.page.parent)
    scope: dict[str, Any] = {}
    exec("\n".join([lines[0], lines[2]]), scope)
    assert scope["concept"].cosine(made.concept) == pytest.approx(1)
    assert lines[1] == f"model = cs.load_model({made.model_name!r})"


def test_a_folder_is_no_name_for_the_title(made: cs.Report) -> None:
    page = report_page(replace(made, model_name="/home/someone/models/mine"))
    assert "</title>" in page
    assert page.split("</title>")[0].endswith("in mine")


def test_each_sentence_is_named_before_it_is_taken_apart(page: str, made: cs.Report) -> None:
    [part] = re.findall(r'<section id="apart">.*?</section>', page, re.DOTALL)
    said = [unescape(title).strip("\u201c\u201d") for title in re.findall(r"<h3>(.*?)</h3>", part, re.DOTALL)]
    assert said == [one.sentence.text for one in made.sentences if one.sentence]
    assert len(said) == 3


def test_the_same_results_give_the_same_page(page: str, made: cs.Report) -> None:
    assert report_page(made) == page


@pytest.mark.parametrize(("low", "high"), [(0.38, 1.02), (-12.0, 7.5), (0, 3e-4), (-1, 1), (5, 5.1)])
def test_ticks_are_round_and_evenly_apart(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 8
    assert low <= found[0] < found[-1] <= high
    steps = np.diff(found)
    assert np.allclose(steps, steps[0])
    leading = steps[0] / 10 ** np.floor(np.log10(steps[0]) + 1e-9)
    assert round(float(leading), 6) in (1, 2, 5)


def test_points_stand_where_the_axes_say() -> None:
    axes = Axes(0, 10, -1, 1)
    assert axes.x(5) == pytest.approx((axes.x(0) + axes.x(10)) / 2)
    assert axes.y(-1) == axes.floor
    assert axes.y(1) < axes.y(0) < axes.y(-1)
    low, high = spread([1.0, float("nan"), 3.0], also=(0.0,))
    assert low < 0 < 3 < high
    assert spread([float("nan")]) != spread([2.0, 2.0])


def test_a_chart_leaves_out_what_is_not_a_number() -> None:
    nan = float("nan")
    line = Line("a <b>", "own", [0.5, nan, 1.0], [0.4, nan, 0.9], [0.6, nan, 1.1])
    chart = LineChart("about", [0, 1, 2], ["x", "y", "z"], "site", [line], ["one", "two", "three"], 1)
    found = Parsed(chart.html())
    assert "nan" not in chart.html()
    [points] = [given["points"] for given in found.all("polyline")]
    assert len((points or "").split()) == 2
    assert len(found.all("circle")) == 2 + 1  # of the line, and of the legend
    assert "a <b>" in "".join(found.texts)


def test_a_chart_of_one_site_has_a_whisker() -> None:
    chart = LineChart("about", [3], ["3"], "layer", [Line("a", "own", [0.5], [0.4], [0.6])], ["one"], 0)
    assert len(Parsed(chart.html()).of_class("whisker")) == 1
