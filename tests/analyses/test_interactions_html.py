import re
from html import unescape

import numpy as np
import pytest

from conceptscope.analyses._effects import Effect
from conceptscope.analyses._found_effects import FoundEffects
from conceptscope.analyses._interactions_html import interactions_html
from conceptscope.analyses._sentence import Sentence

TOKENS = ("<s>", "the", " dog", " was", " not", " glad", ".", "</s>")


class Found(FoundEffects):
    """Two effects in a sentence with special tokens at both ends."""

    players = ("not", "glad")
    target = "reading"
    sentence = Sentence("the dog was not glad.", TOKENS, ((4,), (5,)))
    magnitudes = np.array([2.0, 1.0])

    def about(self) -> str:
        return "about <it>"

    def _at_least(self, least: float) -> list[Effect]:
        return [Effect("and", ("not", "glad"), -2.0, (0, 1)), Effect("and", ("glad",), 1.0, (1,))]


@pytest.fixture
def html() -> str:
    return interactions_html(Found())


def test_without_styles_words_and_numbers_are_left(html: str) -> None:
    """As GitHub strips them from what a notebook shows."""
    bare = re.sub(r' (style|dir)="[^"]*"', "", html)
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", bare)[1:]]
    shown = [[unescape(re.sub(r"<(?!/?b>)[^>]*>", "", cell)).strip() for cell in row] for row in rows]
    assert shown == [
        ["-2.000", "and", "the dog was <b>not</b> <b>glad</b>."],
        ["+1.000", "", "the dog was not <b>glad</b>."],
    ]
    assert "about &lt;it&gt;" in bare


def test_the_sentence_is_the_readers_without_special_tokens(html: str) -> None:
    assert "&lt;s&gt;" not in html
    assert "&lt;/s&gt;" not in html


@pytest.mark.parametrize(("ink", "page"), [(0.13 * 255, 255.0), (255.0, 17.0)])
def test_faint_words_can_be_read_on_light_and_dark_pages(html: str, ink: float, page: float) -> None:
    """Contrast of greys as WCAG counts it; text and ground are those of JupyterLab's themes."""
    for opacity in map(float, re.findall(r"opacity:([\d.]+)", html)):
        seen = opacity * ink + (1 - opacity) * page
        high, low = sorted((((v / 255 + 0.055) / 1.055) ** 2.4 for v in (seen, page)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5
