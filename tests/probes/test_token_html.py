import re
from html import unescape
from html.parser import HTMLParser

import pytest
import torch

from conceptscope.probes import Readings
from conceptscope.probes._token_html import tokens_html


def made(values: list[float], tokens: list[str], n_examples: int = 1, written: int = 0) -> Readings:
    n = len(tokens)
    example = torch.arange(n_examples).repeat_interleave(n)
    position = torch.arange(n).repeat(n_examples)
    step = (position - (n - written) + 1).clamp(min=0)
    column = torch.tensor(values * n_examples)[:, None]
    return Readings(column, ("a <name> & more",), tuple(tokens * n_examples), example, position, step)


def spans(html: str) -> list[tuple[str, str]]:
    """The style and the text of each token."""
    found = re.findall(r'<span title="[^"]*\d\.\d\d[^"]*" style="([^"]*)">([^<]*)</span>', html)
    return [(style, unescape(text)) for style, text in found]


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_texts_and_names_are_escaped_and_tags_closed() -> None:
    tokens = ["<script>alert(1)</script>", " &amp;", ' "x"', "\n"]
    html = tokens_html(made([1.0, -1.0, 0.0, 2.0], tokens))
    assert "<script" not in html
    assert "a <name>" not in html
    assert [text for _, text in spans(html)] == [*tokens[:3], "\u23ce\n"]
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []


def test_colours_say_sign_and_size() -> None:
    styles = [style for style, _ in spans(tokens_html(made([3.0, 30.0, 1.5, -3.0, 0.0], list("abcde"))))]
    shades = [re.search(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", style) for style in styles]
    values = [tuple(float(v) for v in shade.groups()) for shade in shades if shade]
    assert len(values) == 5
    assert values[0] == values[1]
    assert values[2][:3] == values[0][:3] != values[3][:3]
    assert values[2][3] == pytest.approx(values[0][3] / 2)
    assert values[3][3] == values[0][3]
    assert values[4][3] == 0


@pytest.mark.parametrize(("page", "text"), [((255, 255, 255), (0, 0, 0)), ((17, 17, 17), (221, 221, 221))])
def test_every_colour_can_be_read_on_light_and_dark_pages(
    page: tuple[int, ...], text: tuple[int, ...]
) -> None:
    """Contrast as WCAG counts it, of which AA wants 4.5; the text has the page's own colour."""
    for value in (-9.0, -1.0, 0.0, 1.0, 9.0):
        ((style, _),) = spans(tokens_html(made([value], ["a"])))
        assert not re.search(r"(^|;)color:", style)
        *shade, opaque = map(float, style.partition("rgba(")[2].partition(")")[0].split(","))
        seen = [opaque * s + (1 - opaque) * p for s, p in zip(shade, page, strict=True)]
        light, dark = sorted((luminance(seen), luminance(list(text))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 4.5


def luminance(colour: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_what_was_written_is_an_insertion() -> None:
    written = re.findall(r"<ins>(.*?)</ins>", tokens_html(made([1.0] * 4, list("abcd"), written=2)))
    assert written[0] == "written by the model"
    assert [text for _, text in spans(written[1])] == ["c", "d"]
    assert "<ins>" not in tokens_html(made([1.0] * 4, list("abcd")))


def test_strong_readings_are_numbers_where_styles_are_stripped() -> None:
    """As GitHub strips them from what a notebook shows."""
    html = tokens_html(made([-2.34, 0.4, -0.4, 1.0], [" sad", " it", ".", " glad"]))
    bare = re.sub(r' (style|title)="[^"]*"', "", html)
    line = unescape(re.sub(r"<(?!/?sup)[^>]*>", "", bare.partition("numbers from 0.5 on")[2]))
    assert line == "a <name> & more:  sad<sup>-2.3</sup> it. glad<sup>+1.0</sup>"


def test_many_texts_are_not_all_shown() -> None:
    html = tokens_html(made([1.0], ["token"], n_examples=11))
    assert len(spans(html)) == 8
    assert "3 more texts" in html
