from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conceptscope as cs
from conceptscope.hooks import HookedModel

FAST: dict[str, Any] = {"strengths": [0, 2], "max_new_tokens": 2, "directions": 19, "sentences": 2}
NOUNS = ["film", "dog", "garden", "river", "violin", "house", "car", "apple", "song", "rain"]
WORDS = {"good": ["good", "happy"], "bad": ["cold", "old"], "odd": ["red", "two"]}


def words(*labels: str) -> cs.Examples:
    rows = [
        (f"The {noun} was {word}", label, noun) for noun in NOUNS for label in labels for word in WORDS[label]
    ]
    texts, names, groups = zip(*rows, strict=True)
    return cs.Examples(texts, names, groups=groups, name="words")


@pytest.fixture(scope="module")
def llama(tiny: Callable[..., HookedModel]) -> HookedModel:
    return tiny("llama")


@pytest.fixture(scope="module")
def made(llama: HookedModel, tmp_path_factory: pytest.TempPathFactory) -> cs.Report:
    return cs.report(llama, words("good", "bad"), tmp_path_factory.mktemp("made") / "page.html", **FAST)


def test_the_numbers_are_those_of_the_verbs(made: cs.Report, llama: HookedModel) -> None:
    acts = cs.capture(llama, words("good", "bad"), "resid_post")
    sweep = cs.sweep(acts, cs.MeanDifference(), permutations=200)
    assert made.sweep.to_frame().equals(sweep.to_frame())
    convexity = cs.convexity(acts, null="permute")
    assert made.convexity is not None
    assert made.convexity.to_frame().equals(convexity.to_frame())
    concept = sweep.concepts[made.concept.site]
    doses = cs.dose_response(
        llama, made.prompts, concept.add, FAST["strengths"], max_new_tokens=2, directions=19
    )
    assert made.doses is not None
    assert made.card is not None
    assert made.card.measure is None  # a random model goes on alike, so the tokens raised most are measured
    assert made.doses.to_frame().equals(doses.to_frame())
    for one in made.sentences:
        assert one.sentence is not None
        again = cs.interactions(llama, one.sentence.text, concept, budget=1024)
        assert np.allclose(again.magnitudes, one.magnitudes)


def test_the_files_are_the_page_and_the_concepts(made: cs.Report) -> None:
    home = made.page.parent
    assert sorted(path.name for path in home.iterdir()) == ["page-concepts", "page.html"]
    assert sorted(path.stem for path in made.folder.iterdir()) == sorted(map(str, made.sweep.concepts))
    loaded = cs.Concept.load(made.folder / f"{made.concept.site}.safetensors")
    assert loaded.cosine(made.concept) == pytest.approx(1)


def test_the_site_is_the_good_one_nearest_to_the_middle(made: cs.Report) -> None:
    assert isinstance(made.sweep, cs.ProbeSweep)
    best = max(one.auroc for one in made.sweep.scores)
    good = [one.site.layer for one in made.sweep.scores if one.auroc_high >= best]
    assert abs(int(made.concept.site.layer or 0) - 1) == min(abs(int(layer or 0) - 1) for layer in good)


def test_site_and_class_can_be_said(llama: HookedModel, tmp_path: Path) -> None:
    made = cs.report(
        llama, words("good", "bad"), tmp_path / "x.html", site="resid_post.2", towards="bad", **FAST
    )
    assert made.concept.classes == ("good", "bad")
    assert str(made.concept.site) == "resid_post.2"
    stored = cs.Concept.load(made.folder / "resid_post.2.safetensors")
    assert stored["bad"].cosine(made.concept) == pytest.approx(1)
    assert "['bad']" in made.page.read_text().replace("&#x27;", "'")


def test_many_classes(llama: HookedModel, tmp_path: Path) -> None:
    made = cs.report(llama, words("good", "bad", "odd"), tmp_path / "x.html", **FAST)
    assert made.concept.classes == ("not odd", "odd")
    assert made.card is not None
    assert made.doses is not None
    assert not made.left_out


def test_numbers(llama: HookedModel, tmp_path: Path) -> None:
    data = words("good", "bad")
    numbers = cs.Examples(data.texts, [n / 7 for n in range(len(data))])
    made = cs.report(llama, numbers, tmp_path / "x.html", extractor=cs.Ridge(), **FAST)
    assert isinstance(made.sweep, cs.ValueSweep)
    assert made.doses is not None
    assert set(made.left_out) == {"card", "convexity"}
    assert "labels are numbers" in made.page.read_text()
    assert "R squared" in made.verdict
    with pytest.raises(ValueError, match=r"40 different numbers.*--extractor ridge"):
        cs.report(llama, numbers, tmp_path / "y.html", **FAST)


def test_an_encoder_is_not_steered(tiny: Callable[..., HookedModel], tmp_path: Path) -> None:
    made = cs.report(tiny("bert"), words("good", "bad"), tmp_path / "x.html", position="mean", **FAST)
    assert made.card is None
    assert made.doses is None
    assert len(made.sentences) == 2
    page = made.page.read_text()
    assert page.count("the model is an encoder, which writes no text") == 3
    assert 'type="range"' not in page
    assert "cs.generate" not in page
    assert "was not tested" in made.verdict


def test_long_texts_are_not_taken_apart(llama: HookedModel, tmp_path: Path) -> None:
    data = words("good", "bad")
    long = cs.Examples([f"{'a ' * 40}{text}" for text in data.texts], data.labels)
    made = cs.report(llama, long, tmp_path / "x.html", **FAST)
    assert made.sentences == ()
    assert set(made.left_out) == {"interactions"}
    assert "no text has 40 words or fewer" in made.page.read_text()


def test_chats(build: Callable[..., Any], tmp_path: Path) -> None:
    hf, tokenizer = build("gpt2")
    tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant:{% endif %}"
    )
    data = words("good", "bad")
    chats = [[{"role": "user", "content": text}] for text in data.texts]
    given = cs.Examples(chats, data.labels, groups=data.groups)
    made = cs.report(cs.load_model(hf, tokenizer=tokenizer), given, tmp_path / "x.html", **FAST)
    assert not made.left_out
    assert "user: The film was" in made.page.read_text()


def test_what_cannot_be_measured_is_left_out_and_said(llama: HookedModel, tmp_path: Path) -> None:
    made = cs.report(llama, words("good", "bad"), tmp_path / "x.html", prompts=["one alone"], **FAST)
    assert set(made.left_out) == {"card", "steering"}
    assert "at least two groups" in made.left_out["steering"]
    assert made.page.read_text().count("at least two groups") == 3


def test_a_result_says_what_it_is(made: cs.Report) -> None:
    assert repr(made).startswith(f"Report('{made.page}': Concept('good'")
    assert made.page.as_uri() in made._repr_html_()


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"strengths": [1, 1]}, ValueError, "each once"),
        ({"strengths": []}, ValueError, "each once"),
        ({"strengths": [float("inf")]}, ValueError, "finite"),
        ({"sentences": -1}, ValueError, "sentences must be 0 or more"),
        ({"max_new_tokens": 0}, ValueError, "max_new_tokens 1 or more"),
        ({"position": "all"}, ValueError, "such as 'last' or 'mean'"),
        ({"site": "resid_post.9"}, KeyError, "no resid_post.9 among the sites"),
        ({"towards": "best"}, KeyError, "no 'best' in this concept"),
        ({"folds": 99}, ValueError, "folds"),
    ],
)
def test_what_is_refused(
    llama: HookedModel, tmp_path: Path, changed: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        cs.report(llama, words("good", "bad"), tmp_path / "x.html", **FAST | changed)
    assert list(tmp_path.iterdir()) == []


def test_places_and_labels_that_are_refused(llama: HookedModel, tmp_path: Path) -> None:
    data = words("good", "bad")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        cs.report(llama, data, tmp_path / "nowhere" / "x.html")
    with pytest.raises(ValueError, match=r"ends in \.html, got 'x.pdf'"):
        cs.report(llama, data, tmp_path / "x.pdf")
    with pytest.raises(ValueError, match="have no labels"):
        cs.report(llama, cs.Examples(data.texts), tmp_path / "x.html")
    (tmp_path / "x.html").mkdir()
    with pytest.raises(ValueError, match="is a folder: give the name of a file"):
        cs.report(llama, data, tmp_path / "x.html")
