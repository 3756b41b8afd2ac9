import itertools
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from conceptscope.hooks import Examples, ExampleStream
from conceptscope.hooks._example_stream import source_of

ROWS = [{"text": f"text {n}", "label": "ab"[n % 2], "group": n // 3, "pair": n // 2} for n in range(10)]
CHAT = [{"role": "user", "content": "hello"}]


def parts_of(data):
    return list(data.texts), data.labels, data.groups, data.pairs, data.spans


def joined(stream, size):
    blocks = list(stream.blocks(size))
    assert all(len(block) == size for block in blocks[:-1])
    parts = [parts_of(block) for block in blocks]
    return tuple(
        None if part[0] is None else list(itertools.chain(*part)) for part in zip(*parts, strict=True)
    )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "d.csv").write_text(
        "\n".join(["text,label,group,pair", *(",".join(map(str, r.values())) for r in ROWS)])
    )
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, ROWS)) + "\n")
    return tmp_path


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_a_file_is_what_examples_read_at_once_would_be(files, size):
    for read, name in ((Examples.from_csv, "d.csv"), (Examples.from_jsonl, "d.jsonl")):
        stream = ExampleStream(files / name)
        expected = parts_of(read(files / name))
        assert joined(stream, size) == expected
        assert joined(stream, size) == expected  # a file can be read again
        assert parts_of(stream.read()) == expected
        assert (stream.name, stream.n_examples) == ("d", None)


def test_columns_have_names(files):
    stream = ExampleStream(files / "d.jsonl", text="label", label="group", group="text", name="other")
    (data,) = stream.blocks(10)
    assert (data.texts[0], data.labels[3], data.groups[3], data.name) == ("a", 1, "text 3", "other")


def test_a_column_of_numbers_is_one_however_late_a_word_comes(files):
    (files / "late.csv").write_text("text,label\n" + "".join(f"t{n},{n}\n" for n in range(50)) + "t,word\n")
    assert next(ExampleStream(files / "late.csv").blocks(5)).labels == ["0", "1", "2", "3", "4"]


def test_texts_chats_rows_and_examples():
    assert joined(ExampleStream(iter(["a", "b", "c"])), 2) == (["a", "b", "c"], None, None, None, None)
    assert next(ExampleStream([{"text": CHAT}, {"text": "b"}]).blocks(5)).texts == [CHAT, "b"]
    pieces = [Examples.from_pairs([("good", "bad")]), Examples(["x"], ["positive"], pairs=[7])]
    assert joined(ExampleStream(iter(pieces)), 2) == (
        ["good", "bad", "x"],
        ["positive", "negative", "positive"],
        None,
        [0, 0, 7],
        None,
    )
    assert ExampleStream(pieces).n_examples == 3
    assert repr(ExampleStream(pieces, name="mine")) == "ExampleStream('mine', 3 examples)"
    assert repr(ExampleStream(iter(pieces))) == "ExampleStream(any number of examples)"
    assert ExampleStream(ROWS).n_examples == 10


@pytest.mark.parametrize("made", [torch.tensor, np.array, list])
def test_contexts_and_spans_come_along(made):
    contexts = made([[1.0, 2], [3, 4], [5, 6]])
    data = Examples(["abc", "def", "ghi"], contexts=contexts, spans=[(0, 1), None, [(1, 2), (2, 3)]])
    first, second = ExampleStream(iter([data[:2], data[2:]])).blocks(2)
    assert type(first.contexts) is type(contexts)
    assert torch.equal(torch.as_tensor(second.contexts), torch.as_tensor(contexts)[2:])
    assert (first.spans, second.spans) == ([(0, 1), None], [[(1, 2), (2, 3)]])


def test_the_first_ones_are_still_there_afterwards():
    for source in (iter(ROWS), ROWS, iter([Examples(["a", "b"], [1, 2])])):
        stream = ExampleStream(source)
        assert len(stream.first(2)) == 2
        assert stream.first(1).texts[0] == next(stream.blocks(50)).texts[0]


def test_a_data_set_of_the_hub_library_with_its_class_labels():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    table = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1]}, features=features)
    for source in (table, table.to_iterable_dataset()):
        stream = source_of(source)
        assert joined(stream, 2)[:2] == (["a", "b", "c"], ["no", "yes", "yes"])
    assert source_of(table).n_examples == 3
    with pytest.raises(TypeError, match="with train: choose one of them"):
        source_of(datasets.DatasetDict(train=table))


def test_what_is_in_memory_stays_there():
    data = Examples(["a"])
    assert source_of(data) is data
    for given in (["a", "b"], ("a", "b"), np.array(["a", "b"])):
        assert source_of(given).texts == ["a", "b"]
    stream = ExampleStream(["a"])
    assert source_of(stream) is stream


def test_memory_holds_one_block():
    def texts():
        for n in range(40_000):
            yield f"{n} " * 50

    tracemalloc.start()
    for _ in ExampleStream(texts()).blocks(100):
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000  # of 10 MB


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: ExampleStream("there.csv"), FileNotFoundError, "there is no file 'there.csv'"),
        (lambda: ExampleStream(__file__), ValueError, "neither a .csv nor a .jsonl file: save the table as"),
        (lambda: ExampleStream("nowhere.txt"), FileNotFoundError, "there is no file 'nowhere.txt'"),
        (lambda: ExampleStream(Path(__file__).parent), ValueError, "is a folder: give a .csv or .jsonl file"),
        (lambda: ExampleStream(7), TypeError, "not from int"),
        (lambda: ExampleStream({"text": ["a"]}), TypeError, "got dict with text: choose one of them"),
        (lambda: ExampleStream(iter([])).read(), ValueError, "at least one text is needed"),
        (lambda: list(ExampleStream(ROWS).blocks(0)), ValueError, "size must be a positive whole number"),
        (
            lambda: list(ExampleStream(ROWS, label="lable").blocks(3)),
            ValueError,
            "no column 'lable': the columns are",
        ),
        (lambda: list(ExampleStream(ROWS, text="sentence").blocks(3)), ValueError, "no column 'sentence'"),
        (
            lambda: list(ExampleStream(["a"] * 9 + [3]).blocks(4)),
            TypeError,
            "among the examples 8 to 9, .*: example 1 is",
        ),
        (
            lambda: list(ExampleStream([ROWS[0], {"text": "b"}]).blocks(1)),
            ValueError,
            r"example 1 \(from 0\) has a text only, and the first one has labels and groups and pairs",
        ),
    ],
)
def test_refuses(make, error, said):
    with pytest.raises(error, match=said):
        make()
