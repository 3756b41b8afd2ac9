"""The generator: its exact entropy, its factors, and the same text with one factor changed."""

import math
from collections import Counter, defaultdict

import pytest

from conceptscope.worlds import tinyworld
from conceptscope.worlds.tinyworld._choice import choice
from conceptscope.worlds.tinyworld._texts import split
from conceptscope.worlds.tinyworld._tokenizer import build_tokenizer, vocabulary


@pytest.fixture(scope="module")
def corpus() -> list[tinyworld.Text]:
    return list(tinyworld.sample(20_000, generator=1))


def test_the_probability_of_a_word_depends_on_the_prefix_alone(corpus: list[tinyworld.Text]) -> None:
    seen: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for text in corpus:
        for i, (word, logp) in enumerate(zip(text.words, text.logps, strict=True)):
            known = seen[text.words[:i]].setdefault(word, logp)
            assert known == pytest.approx(logp, abs=1e-9)
    assert max(sum(map(math.exp, words.values())) for words in seen.values()) <= 1 + 1e-9


def test_the_floor_is_the_corpus_entropy(corpus: list[tinyworld.Text]) -> None:
    # E[-log p] of each text's first word against the plug-in entropy of its frequencies
    firsts = Counter(text.words[0] for text in corpus)
    plug_in = -sum(n / len(corpus) * math.log(n / len(corpus)) for n in firsts.values())
    exact = -sum(text.logps[0] for text in corpus) / len(corpus)
    assert exact == pytest.approx(plug_in, abs=0.02)


def test_held_out_combinations_never_occur(corpus: list[tinyworld.Text]) -> None:
    for text in corpus:
        f = text.factors
        assert not (f.get("negation") and f["tense"] == "future")
        assert not (f.get("irony") and f["number"] == "plural")
        if f["text"] == "addition":
            assert not tinyworld.held_out(f["a"], f["b"])
    assert tinyworld.held_out(3, 17) == tinyworld.held_out(17, 3)
    pairs = [(a, b) for a in range(100) for b in range(100 - a)]
    assert sum(tinyworld.held_out(*pair) for pair in pairs) / len(pairs) == pytest.approx(0.1, abs=0.02)


def test_the_frequencies_that_the_docstring_promises(corpus: list[tinyworld.Text]) -> None:
    stories = [text.factors for text in corpus if text.factors["text"] == "story"]
    share = {name: sum(map(test, stories)) / len(stories) for name, test in {
        "irony": lambda f: f["irony"],
        "size": lambda f: f["size"] is not None,
        "colour": lambda f: f["colour"] is not None,
        "gender": lambda f: f["gender"] is not None and f["number"] == "singular",
    }.items()}  # fmt: skip
    assert len(stories) / len(corpus) == pytest.approx(0.33, abs=0.02)
    assert share["irony"] == pytest.approx(0.03, abs=0.01)
    assert share["size"] == pytest.approx(0.53, abs=0.03)
    assert share["colour"] == pytest.approx(0.26, abs=0.03)
    assert share["gender"] == pytest.approx(0.22, abs=0.03)
    now = [f for f in stories if f["tense"] != "future"]
    assert sum(bool(f["negation"]) for f in now) / len(now) == pytest.approx(0.27, abs=0.02)
    large = [f for f in stories if f["size"] == "large"]
    assert sum(f["sentiment"] == "positive" for f in large) / len(large) == pytest.approx(0.85, abs=0.03)


def test_valence_is_an_xor(corpus: list[tinyworld.Text]) -> None:
    positive = {"smile", "laugh", "sing", "please", "charm", "impress"}
    checked = 0
    for text in corpus:
        f = text.factors
        follow = [item for slot, item in text.choices.items() if slot.startswith("follow")]
        told = [item for item in follow if item.value == "consequence"]
        if not told or f["tense"] != "future":
            continue
        expected = (f["sentiment"] == "positive") ^ bool(f["negation"]) ^ bool(f["irony"])
        assert (told[0].word in positive) == expected
        checked += 1
    assert checked > 200


def test_marks_agree_with_the_word_that_is_there(corpus: list[tinyworld.Text]) -> None:
    checked = Counter(mark.factor for text in corpus for mark in text.marks)
    assert len(checked) >= 13
    assert min(checked.values()) > 100
    for text in corpus:
        for mark in text.marks:
            assert not set(mark.right) & set(mark.wrong)
            assert text.words[mark.position] not in mark.wrong


@pytest.mark.parametrize("factor", tinyworld.CHANGEABLE)
def test_a_counterfactual_changes_one_factor(factor: str, corpus: list[tinyworld.Text]) -> None:
    follows = {"valence"} if factor in ("sentiment", "negation", "irony") else set()
    follows |= {"degree"} if factor == "negation" else set()
    changed = 0
    for text in corpus[:4000]:
        try:
            other = tinyworld.counterfactual(text, factor)
        except ValueError:
            continue
        differ = {name for name in text.factors if text.factors[name] != other.factors[name]}
        assert factor in differ
        assert differ <= {factor, *follows}
        changed += 1
    assert changed > 40


@pytest.mark.parametrize("factor", ["sentiment", "negation", "size", "irony"])
def test_changing_a_factor_twice_gives_the_text_back(factor: str, corpus: list[tinyworld.Text]) -> None:
    # "not" takes the place of a degree word, which is then lost
    stories = [t for t in corpus[:3000] if t.factors.get(factor) is not None and not t.factors["degree"]]
    for text in stories:
        there_and_back = tinyworld.counterfactual(tinyworld.counterfactual(text, factor), factor)
        assert there_and_back.text == text.text


def test_a_counterfactual_may_be_a_held_out_combination() -> None:
    other = tinyworld.counterfactual("the dog was not happy. it cried.", "tense", to="future")
    assert other.text == "the dog will not be happy. it will cry."
    assert min(other.logps) == -math.inf


@pytest.mark.parametrize(
    ("text", "factor", "error", "says"),
    [
        ("the dog was happy.", "mood", KeyError, "unknown factor 'mood'"),
        ("the dog was happy.", "gender", ValueError, "has no gender to change"),
        ("anna was happy.", "number", ValueError, "a name has no plural"),
        ("the dog was happy.", "tense", ValueError, "not possible here"),
        ("12 plus 30 is 42.", "sentiment", ValueError, "has no sentiment"),
        ("the dog was green.", "tense", ValueError, "word 3 is 'green'"),
        ("12 plus 30 is 43.", "tense", ValueError, "expected '42'"),
        ("the dog was happy. it smiled. it smiled.", "tense", ValueError, "is not a text of TinyWorld"),
    ],
)
def test_what_cannot_be_changed_says_why(text: str, factor: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        tinyworld.counterfactual(text, factor, "yesterday" if says == "not possible here" else None)


def test_a_choice_refuses_what_has_no_exact_entropy() -> None:
    with pytest.raises(ValueError, match="begin with the same word"):
        choice(("a", 0.5, ("w",)), ("b", 0.5, ("w",)))
    with pytest.raises(ValueError, match="sum to"):
        choice(("a", 0.5, ("w",)), ("b", 0.4, ("v",)))


def test_the_tokenizer_splits_as_the_grammar_does(corpus: list[tinyworld.Text]) -> None:
    tokenizer = build_tokenizer()
    assert {word for text in corpus for word in text.words} <= set(vocabulary())
    for text in corpus[:1000]:
        ids = tokenizer(text.text)["input_ids"]
        assert tokenizer.convert_ids_to_tokens(ids) == ["<s>", *text.words[:-1]]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text.text
        assert split(text.text) == text.words
    assert tokenizer("The Dog was")["input_ids"] == tokenizer("the dog was")["input_ids"]


@pytest.mark.parametrize("name", tinyworld.FACTORS)
def test_examples_are_balanced_paired_and_grouped(name: str) -> None:
    data = tinyworld.examples(name, 400)
    assert len(data["texts"]) == len(data["labels"]) == len(data["groups"]) == 400
    assert len(set(data["texts"])) == 400
    assert len(set(data["groups"])) >= 5
    if name not in ("category", "sum"):
        rarer = min(Counter(data["labels"]).values())
        assert rarer >= 150
    if data["pairs"] is not None:
        for pair in set(data["pairs"]):
            rows = [i for i, p in enumerate(data["pairs"]) if p == pair]
            assert len({data["labels"][i] for i in rows}) == len(rows) == 2
            assert len({data["groups"][i] for i in rows}) == 1
    assert tinyworld.examples(name, 400) == data


def test_the_confound_is_in_the_confounded_examples_only() -> None:
    large, small = {"big", "large", "huge", "giant"}, {"small", "tiny", "little", "slim"}

    def agreement(name: str) -> float:
        data = tinyworld.examples(name, 400)
        rows = [(set(t.split()[:2]), label) for t, label in zip(data["texts"], data["labels"], strict=True)]
        sized = [
            (bool(words & large), label == "positive") for words, label in rows if words & (large | small)
        ]
        return sum(big == positive for big, positive in sized) / len(sized)

    assert agreement("sentiment_confounded") == pytest.approx(0.85, abs=0.05)
    assert agreement("sentiment") == pytest.approx(0.5, abs=1e-9)


def test_the_coin_is_independent_of_every_word() -> None:
    data = tinyworld.examples("coin", 2000)
    heads: dict[str, list[bool]] = defaultdict(list)
    for text, label in zip(data["texts"], data["labels"], strict=True):
        for word in set(text.split()):
            heads[word].append(label == "heads")
    common = [hits for hits in heads.values() if len(hits) >= 50]
    assert len(common) > 40
    z = [(sum(hits) - len(hits) / 2) / math.sqrt(len(hits) / 4) for hits in common]
    assert max(map(abs, z)) < 4.5
    assert sum(v * v for v in z) / len(z) < 2


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="unknown factor 'moods' of TinyWorld"):
        tinyworld.examples("moods")
