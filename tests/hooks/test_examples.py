import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conceptscope.hooks import Examples


def of_size(n: int, **parts: object) -> Examples:
    return Examples(
        [f"text {row}" for row in range(n)], ["a" if row % 2 else "b" for row in range(n)], **parts
    )


def test_parts_travel_with_their_texts() -> None:
    contexts = torch.arange(6).reshape(6, 1)
    data = of_size(6, groups=list("xxyyzz"), pairs=[0, 1, 2, 0, 1, 2], contexts=contexts, spans=[(0, 4)] * 6)
    order = [5, 0, 3]
    some = data[order]
    assert some.texts == [data.texts[row] for row in order]
    for part in ("labels", "groups", "pairs", "spans"):
        assert getattr(some, part) == [getattr(data, part)[row] for row in order]
    assert some.contexts.flatten().tolist() == order
    assert data[2:4].texts == data[np.arange(6) // 2 == 1].texts == data[torch.tensor([2, 3])].texts
    assert data[-1].texts == ["text 5"]
    assert [one.texts[0] for one in data] == data.texts
    assert len(data[1:]) == 5


def test_takes_arrays_and_columns() -> None:
    frame = pd.DataFrame({"text": ["one", "two"], "label": [1, 0]})
    data = Examples(frame["text"], frame["label"], groups=np.array([3, 4]))
    assert (data.texts, data.labels, data.groups) == (["one", "two"], [1, 0], [3, 4])


def test_plain_lists_become_examples() -> None:
    data = of_size(2)
    assert Examples.of(data) is data
    assert Examples.of(["one", "two"]).texts == ["one", "two"]
    chat = [{"role": "user", "content": "hello"}]
    assert Examples.of([chat]).texts == [chat]


def test_pairs() -> None:
    data = Examples.from_pairs([("good", "bad"), ("warm", "cold")], name="pairs")
    assert data.texts == ["good", "bad", "warm", "cold"]
    assert data.labels == ["positive", "negative"] * 2
    assert data.pairs == [0, 0, 1, 1]
    assert sorted(set(data.labels))[-1] == "positive"
    with pytest.raises(ValueError, match="entry 1 is not a"):
        Examples.from_pairs([("good", "bad"), "no"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="at least one text"):
        Examples.from_pairs([])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Examples([]), ValueError, "at least one text is needed"),
        (lambda: Examples("one text"), TypeError, r"write \['one text'\]"),
        (lambda: Examples.of("one text"), TypeError, r"write \['one text'\]"),
        (lambda: Examples([{"role": "user", "content": "x"}]), TypeError, r"write \[chat\]"),
        (lambda: Examples(["a", 3]), TypeError, "example 1 is neither a text nor"),
        (lambda: Examples(["a", "b"], ["x"]), ValueError, "1 labels for 2 texts"),
        (lambda: Examples(["a", "b"], groups=[1, 2, 3]), ValueError, "3 groups for 2 texts"),
        (lambda: Examples(["a", "b"], "xy"), TypeError, "one entry for each text"),
        (lambda: Examples(["a", "b"], ["x", None]), ValueError, "example 1 has no label"),
        (lambda: Examples(["a", "b"], [1.0, float("nan")]), ValueError, "example 1 has no label"),
        (lambda: Examples(["a", "b"], pd.array([None, 1])), ValueError, "example 0 has no label"),
        (lambda: Examples(["abc"], spans=[(1, 4)]), ValueError, r"span \(1, 4\) of example 0"),
        (lambda: Examples(["abc"], spans=[[(0, 1), (2, 2)]]), ValueError, r"span \(2, 2\) of example 0"),
        (lambda: Examples(pd.DataFrame({"text": ["a"]})), TypeError, "got a table"),
        (lambda: Examples(5), TypeError, "expected a list of texts, got int"),
        (lambda: Examples(["a", "b"], 3), TypeError, "labels must be a list with one entry for each text"),
        (
            lambda: Examples(["a", "b"], np.eye(2)),
            TypeError,
            r"example 0 has the label \[1.0, 0.0\]: a label is",
        ),
        (lambda: of_size(3)[5], IndexError, "row 5 of 3 rows"),
    ],
)
def test_refuses(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]


def test_spans_may_be_several() -> None:
    data = Examples(["abc", "def", "ghi"], spans=[(0, 1), None, [(0, 1), (2, 3)]])
    assert data.spans == [(0, 1), None, [(0, 1), (2, 3)]]


@pytest.mark.parametrize("seed", range(20))
def test_split_keeps_groups_and_pairs_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    data = of_size(60, groups=rng.integers(0, 25, 60), pairs=rng.integers(0, 50, 60))
    train, test = data.split(0.3, generator=seed)
    assert sorted(train.texts + test.texts) == sorted(data.texts)
    assert train.texts
    assert test.texts
    for part in ("groups", "pairs"):
        assert not set(getattr(train, part)) & set(getattr(test, part))


def test_split_is_near_the_share_and_repeats() -> None:
    data = of_size(100)
    train, test = data.split(0.2, generator=3)
    assert (len(train), len(test)) == (80, 20)
    assert data.split(0.2, generator=3)[1].texts == test.texts
    assert data.split(0.2, generator=torch.Generator().manual_seed(3))[1].texts == test.texts
    assert data.split(0.2, generator=4)[1].texts != test.texts


def test_split_refuses() -> None:
    with pytest.raises(ValueError, match="belong to one group or pair"):
        of_size(4, groups=["g"] * 4).split()
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        of_size(4).split(1)
    with pytest.raises(TypeError, match=r"a seed or a torch.Generator"):
        of_size(4).split(generator="0")  # type: ignore[arg-type]


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_the_usual_names(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 'text,label,group,pair\n"one, two",x,g1,0\nthree,y,g2,0\n')
    data = Examples.from_csv(path)
    assert data.texts == ["one, two", "three"]
    assert (data.labels, data.groups, data.pairs, data.name) == (["x", "y"], ["g1", "g2"], [0, 0], "mine")


def test_a_frame_written_as_csv_is_read_back(tmp_path: Path) -> None:
    data = of_size(4, groups=list("xxyy"), pairs=[0, 1, 0, 1])
    data.to_frame().to_csv(tmp_path / "data.csv", index=False)
    back = Examples.from_csv(tmp_path / "data.csv")
    for part in ("texts", "labels", "groups", "pairs"):
        assert getattr(back, part) == getattr(data, part)
    assert back.to_frame().equals(data.to_frame())
    assert list(of_size(2, spans=[(0, 4), None]).to_frame().columns) == ["text", "label", "span"]
    assert list(Examples(["a"]).to_frame().columns) == ["text"]


def test_csv_with_other_names_and_numbers(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "\ufeffreview,stars,part\n12,10,\n7,9,a\n")
    data = Examples.from_csv(path, text="review", label="stars", group="part")
    assert (data.texts, data.labels, data.groups) == (["12", "7"], [10, 9], [None, "a"])
    path = csv_file(tmp_path, "text,label\nw,1.5\nv,-2\n")
    assert Examples.from_csv(path).labels == [1.5, -2.0]
    path = csv_file(tmp_path, "text,label\nw,01\nv,2\n")
    assert Examples.from_csv(path).labels == ["01", "2"]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_csv_as_spreadsheets_write_it(tmp_path: Path, delimiter: str) -> None:
    rows = ["text,label", '"one, two",x', ",", '"two\nlines; and more",y', ",", ""]
    content = "\r\n".join(rows)
    plain = Examples.from_csv(csv_file(tmp_path, content))
    assert (plain.texts, plain.labels) == (["one, two", "two\nlines; and more"], ["x", "y"])
    other = Examples.from_csv(
        csv_file(tmp_path, f"\ufefftext{delimiter}label\r\na, b{delimiter}x\r\n{delimiter}\r\n")
    )
    assert (other.texts, other.labels) == (["a, b"], ["x"])
    quoted = f'"a{delimiter}b",label\nc,x\n'
    assert Examples.from_csv(csv_file(tmp_path, quoted), text=f"a{delimiter}b").texts == ["c"]


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("text,label\na,x\n", {"label": "mood"}, "no column 'mood': the columns are text, label"),
        ("words,label\na,x\n", {}, "no column 'text': the columns are words, label"),
        ("text,label\n", {}, "no rows"),
        ("", {}, "not a CSV file with a header"),
        ("text,label\na\n", {}, "row 1 has 1 entries for 2 columns"),
        ("text,label\na,x\nb,\n", {}, "example 1 has no label"),
        ("text,label\na,\nb,\nc,\n", {}, "example 0 and 2 others have no label: leave out what has none"),
        ("text,label, label\na,x,y\n", {}, "has two columns 'label': give them names of their own"),
    ],
)
def test_csv_refuses(tmp_path: Path, content: str, columns: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Examples.from_csv(csv_file(tmp_path, content), **columns)


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    for read in (Examples.from_csv, Examples.from_jsonl):
        with pytest.raises(FileNotFoundError, match=r"there is no file '.*nothing'"):
            read(tmp_path / "nothing")
    (tmp_path / "binary.csv").write_bytes(b"text,label\n\xff\xfe\xba,x\n")
    with pytest.raises(ValueError, match="not a UTF-8 text file"):
        Examples.from_csv(tmp_path / "binary.csv")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_what_spreadsheets_call_unicode_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "mine.csv").write_text("text\tlabel\na, 😀\tü\n", encoding=encoding)
    data = Examples.from_csv(tmp_path / "mine.csv")
    assert (data.texts, data.labels) == (["a, 😀"], ["ü"])
    (tmp_path / "mine.jsonl").write_text('{"text": "日本語"}\n', encoding=encoding)
    assert Examples.from_jsonl(tmp_path / "mine.jsonl").texts == ["日本語"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "mine.csv").write_text("text,label\ncafé,x\n", encoding=encoding)
    (tmp_path / "mine.jsonl").write_text('{"text": "café"}\n', encoding=encoding)
    for read, name in ((Examples.from_csv, "mine.csv"), (Examples.from_jsonl, "mine.jsonl")):
        with pytest.raises(ValueError, match=f"{name} is not a UTF-8 text file: save it as one"):
            read(tmp_path / name)


def test_a_text_may_be_long_and_names_of_columns_may_have_spaces(tmp_path: Path) -> None:
    data = Examples.from_csv(csv_file(tmp_path, f"text, label ,,\n{'long ' * 100_000},x,,\n"))
    assert (len(data.texts[0]), data.labels) == (500_000, ["x"])


def test_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    chat = [{"role": "user", "content": "hi"}]
    rows = [{"text": chat, "label": "x"}, {"text": "plain", "label": "y"}]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    data = Examples.from_jsonl(path)
    assert (data.texts, data.labels, data.groups) == ([chat, "plain"], ["x", "y"], None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text"', "line 2 is not JSON"),
        ('["text"]', "line 1 is not a JSON object but list"),
        ('{"text": "a"}\n{"txt": "b"}', "line 2 has the keys txt, the first line text"),
        ("\n", "has no rows"),
    ],
)
def test_jsonl_refuses(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        Examples.from_jsonl(path)


def test_hub_reads_a_local_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("sentence,mood\nfine,good\nawful,bad\n")
    data = Examples.from_hub(
        str(tmp_path / "data"), text="sentence", label="mood", cache_dir=str(tmp_path / "cache")
    )
    assert (data.texts, data.labels) == (["fine", "awful"], ["good", "bad"])


def test_hub_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'conceptscope\[hub\]'"):
        Examples.from_hub("imdb")


def test_shows_itself_briefly() -> None:
    data = of_size(20, groups=list(range(20)), name="<mine>")
    assert repr(data) == "Examples('<mine>', 20 texts, labels a 10, b 10, 20 groups)"
    html = data._repr_html_()
    assert "&lt;mine&gt;" in html
    assert html.count("<tr>") == 9
    assert "of 20 values" in repr(Examples(["t"] * 20, list(range(20))))
