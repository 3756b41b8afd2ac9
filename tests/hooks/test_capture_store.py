import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
import torch

from conceptscope.hooks import (
    Activations,
    Examples,
    ExampleStream,
    Intervention,
    add_vector,
    capture,
    intervene,
    load_model,
)
from conceptscope.hooks import _capture_store as capture_store
from conceptscope.hooks._store import open_store

SHARD = 4
LONGEST = "the dog was not happy about rain and she walked home to a red car in paris"
TEXTS = [LONGEST[n % 5 : n % 5 + 5 + 5 * (n % 11)] for n in range(22)]
DATA = Examples(
    TEXTS,
    [n % 3 for n in range(22)],
    groups=[("a", n // 4) for n in range(22)],
    pairs=[None if n > 10 else n // 2 for n in range(22)],
    contexts=torch.arange(44.0).view(22, 2),
    spans=[(0, 3)] * 22,
    name="words",
)
SITES = ["resid_post", "z.1", "z.0.2", "embed"]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(capture_store, "_FEWEST", SHARD)
    monkeypatch.setattr(capture_store, "_MOST", SHARD)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # no test waits for the disk


@pytest.fixture
def computed(monkeypatch):
    """The texts of each shard that is computed."""
    seen, compute = [], capture_store.capture_shard

    def counts(model, data, *args, **kwargs):
        seen.append(list(data.texts))
        return compute(model, data, *args, **kwargs)

    monkeypatch.setattr(capture_store, "capture_shard", counts)
    return seen


def assert_same(found, expected, exact=False):
    assert list(found) == list(expected)
    for site in expected:
        close = 0 if exact else 1e-5
        torch.testing.assert_close(found[site], expected[site], rtol=close, atol=close)
    for part in ("labels", "groups", "pairs", "source", "n_rows"):
        assert getattr(found, part) == getattr(expected, part)
    assert found.example.tolist() == expected.example.tolist()
    assert (found.position is None) == (expected.position is None)
    if expected.position is not None:
        assert found.position.tolist() == expected.position.tolist()
    assert (found.contexts is None) == (expected.contexts is None)
    if expected.contexts is not None:
        torch.testing.assert_close(torch.as_tensor(found.contexts), torch.as_tensor(expected.contexts))


@pytest.mark.parametrize("position", ["last", "mean", "all", re.compile("a|e")])
@pytest.mark.parametrize("data", [DATA, TEXTS], ids=["labelled", "texts"])
def test_a_store_holds_what_memory_would(tiny, tmp_path, position, data):
    data = data if not isinstance(position, re.Pattern) else data[1::11]
    expected = capture(tiny("llama"), data, SITES, position=position)
    found = capture(tiny("llama"), data, SITES, position=position, store=tmp_path / "new" / "store")
    assert_same(found, expected)
    assert_same(Activations.open(tmp_path / "new" / "store"), expected)
    assert repr(found) == repr(expected)
    assert found._repr_html_() == expected._repr_html_()


def test_each_site_is_a_safetensors_file_and_the_manifest_lists_the_shards(tiny, tmp_path):
    from safetensors.torch import load_file

    expected = capture(tiny("gpt2"), DATA, SITES, store=tmp_path)
    for site in expected:
        assert torch.equal(load_file(tmp_path / f"{site}.safetensors")[str(site)], expected[site])
    said = json.loads((tmp_path / "manifest.json").read_text())
    assert said["version"] == 1
    assert said["settings"]["position"] == "last"
    assert said["columns"]["z.1"] == ["float32", [4, 8]]
    assert [shard["examples"] for shard in said["shards"]] == [[n, min(n + 4, 22)] for n in range(0, 22, 4)]
    assert all(len(shard["checksums"]) == len(said["columns"]) for shard in said["shards"])


@pytest.mark.parametrize("dtype", ["bf16", "float16", torch.float64])
def test_the_dtype_is_chosen_and_cast_once(tiny, tmp_path, dtype):
    whole = capture(tiny("gpt2"), DATA, SITES, position="mean", store=tmp_path / "whole")
    found = capture(tiny("gpt2"), DATA, SITES, position="mean", store=tmp_path / "cast", dtype=dtype)
    memory = capture(tiny("gpt2"), DATA, SITES, position="mean", dtype=dtype)
    for site in whole:
        assert torch.equal(found[site], whole[site].to(found[site].dtype))
        assert memory[site].dtype == found[site].dtype != torch.float32


def test_what_is_finished_is_not_computed_again(tiny, tmp_path, computed):
    capture(tiny("gpt2"), DATA, store=tmp_path)
    assert [len(texts) for texts in computed] == [4, 4, 4, 4, 4, 2]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    capture(tiny("gpt2"), DATA, store=tmp_path, batch_size=3)
    assert computed[6:] == [TEXTS[:1]]  # to see that the model is the same
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


class Died(BaseException):
    """What stands for the death of the process."""


def die_at(step, monkeypatch):
    """Die when something is to go through to the disk for the n-th time."""
    sync, steps = os.fsync, iter(range(step))

    def dies(handle):
        if next(steps, None) is None:
            raise Died
        sync(handle)

    monkeypatch.setattr(os, "fsync", dies)


@pytest.mark.parametrize("step", range(0, 48, 3))
def test_death_at_any_moment_loses_a_shard_at_most(tiny, tmp_path, monkeypatch, computed, step):
    expected = capture(tiny("gpt2"), DATA, ["resid_post.0", "z.1"], position="all", store=tmp_path / "whole")
    per_shard = 2 + 4 + 2  # the manifest and its folder, four columns beside the sites, two sites
    with monkeypatch.context() as patch:
        die_at(step, patch)
        with suppress(Died):
            capture(tiny("gpt2"), DATA, ["resid_post.0", "z.1"], position="all", store=tmp_path / "s")
    for path in (tmp_path / "s").glob("*.safetensors"):
        with path.open("ab") as file:
            file.write(b"torn" * 7)
    (tmp_path / "s").mkdir(exist_ok=True)  # it is gone where nothing was written yet
    (tmp_path / "s" / ".manifest.json.99.part").write_text('{"half": ')
    computed.clear()
    found = capture(tiny("gpt2"), DATA, ["resid_post.0", "z.1"], position="all", store=tmp_path / "s")
    assert_same(found, expected, exact=True)
    done = max(0, step - 2) // per_shard
    assert len([texts for texts in computed if len(texts) > 1]) in (6 - done, 5 - done)
    assert not list((tmp_path / "s").glob(".*"))


KILLED = """
import sys, time
from conceptscope.hooks import capture, load_model, _capture_store as store, _shard as shard
store._FEWEST = store._MOST = 4
run = shard.Recorder.run
shard.Recorder.run = lambda *given: (time.sleep(0.02), run(*given))[1]
texts = [f"The dog was number {n} and happy." for n in range(400)]
capture(load_model("tinyworld"), texts, position="all", store=sys.argv[1], batch_size=2)
"""


def test_a_killed_process_is_taken_up_where_it_was(tmp_path, computed):
    store = tmp_path / "store"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(store)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    try:
        manifest, n = store / "manifest.json", 0
        while n < 3 and process.poll() is None:
            time.sleep(0.02)
            with suppress(OSError):
                n = len(json.loads(manifest.read_text())["shards"])
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    n = len(json.loads(manifest.read_text())["shards"])
    assert 3 <= n < 100
    with pytest.raises(
        ValueError, match=r"is not finished \(\d+ examples so far\): run the same capture again"
    ):
        Activations.open(store)
    texts = [f"The dog was number {n} and happy." for n in range(400)]
    found = capture(load_model("tinyworld"), texts, position="all", store=store, batch_size=2)
    assert len([shard for shard in computed if len(shard) == 4]) == 100 - n
    expected = capture(load_model("tinyworld"), texts, position="all", store=tmp_path / "whole", batch_size=2)
    assert_same(found, expected, exact=True)


def cut(path):
    os.truncate(path, path.stat().st_size - 5)


def flip(path):
    with path.open("r+b") as file:
        file.seek(4096 + (path.stat().st_size - 4096) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("name", ["resid_post.1", "rows-labels", "rows-example"])
@pytest.mark.parametrize(("damage", "shards"), [(cut, 1), (flip, 1), (os.remove, 6)])
def test_what_is_damaged_is_never_read_and_done_anew(tiny, tmp_path, computed, name, damage, shards):
    expected = capture(tiny("gpt2"), DATA, SITES)
    capture(tiny("gpt2"), DATA, SITES, store=tmp_path)
    damage(tmp_path / f"{name}.safetensors")
    with pytest.raises(
        ValueError, match=r"(missing or cut short|damaged in the examples \d+ to \d+): run the same"
    ):
        Activations.open(tmp_path)["resid_post.1"], Activations.open(tmp_path).labels
    computed.clear()
    assert_same(capture(tiny("gpt2"), DATA, SITES, store=tmp_path), expected)
    assert len([texts for texts in computed if len(texts) > 1]) == shards
    assert_same(Activations.open(tmp_path), expected)


def test_an_undamaged_part_can_be_read(tiny, tmp_path):
    capture(tiny("gpt2"), DATA, SITES, store=tmp_path)
    flip(tmp_path / "resid_post.1.safetensors")
    acts = Activations.open(tmp_path)
    assert acts["resid_post.0"].shape == (22, 32)
    assert acts[:4]["resid_post.1"].shape == (4, 32)
    with pytest.raises(ValueError, match="damaged in the examples 8 to 11"):
        acts[:12]["resid_post.1"]


@contextmanager
def no_file_larger_than(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("rows", [0, 3, 4, 13])
def test_a_full_disk_is_said_and_what_was_written_stays(tiny, tmp_path, computed, rows):
    expected = capture(tiny("gpt2"), DATA, "resid_post")
    room = 4096 + rows * 32 * 4 + 7
    with (
        no_file_larger_than(room),
        pytest.raises(OSError, match="there is no room for the next shard") as caught,
    ):
        capture(tiny("gpt2"), DATA, "resid_post", store=tmp_path)
    assert "run the same capture again, which goes on from there" in str(caught.value)
    written = [path.stat().st_size for path in tmp_path.glob("resid_post.0.safetensors")]
    assert written == [4096 + rows // 4 * 4 * 32 * 4] * (rows > 3)
    computed.clear()
    assert_same(capture(tiny("gpt2"), DATA, "resid_post", store=tmp_path), expected)
    assert len([texts for texts in computed if len(texts) > 1]) == 6 - rows // 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"position": "mean"}, "position 'last' there and 'mean' here"),
        ({"sites": "resid_post.1"}, r"sites \['resid_post.0', .*\] there and \['resid_post.1'\] here"),
        ({"dtype": "bf16"}, "dtype 'float32' there and 'bfloat16' here"),
        ({"family": "llama"}, "model_name 'GPT2LMHeadModel' there and 'LlamaForCausalLM' here"),
        ({"examples": DATA[::-1]}, "between the examples 0 and 3"),
        (
            {"examples": Examples([*TEXTS[:9], "other", *TEXTS[10:]], name="words")},
            "between the examples 0 and 3",
        ),
        (
            {"examples": Examples(TEXTS, [*[n % 3 for n in range(21)], 7], name="words")},
            "between the examples",
        ),
        ({"examples": DATA[:10]}, "between the examples 8 and 9"),
        ({"examples": DATA[:8]}, "it has 22, and these are 8"),
        ({"examples": TEXTS}, "data 'words' there and None here"),
    ],
)
def test_another_capture_is_refused(tiny, tmp_path, arguments, said):
    capture(tiny("gpt2"), DATA, store=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    model = tiny(arguments.pop("family", "gpt2"))
    with pytest.raises(ValueError, match=f"{said}.*; give another folder"):
        capture(model, **({"examples": DATA, "store": tmp_path} | arguments))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_more_examples_are_other_ones(tiny, tmp_path):
    capture(tiny("gpt2"), DATA[:8], store=tmp_path)
    with pytest.raises(ValueError, match="between the examples 8 and 11"):
        capture(tiny("gpt2"), DATA, store=tmp_path)


def test_other_weights_and_interventions_are_refused(build, tmp_path):
    hf, tokenizer = build("gpt2")
    model = load_model(hf, tokenizer=tokenizer)
    capture(model, DATA, store=tmp_path)
    with (
        intervene(model, add_vector("resid_post.0", torch.ones(32))),
        pytest.raises(
            ValueError, match=r"does not compute what the store .* holds: resid_post.0 is \d+% off"
        ),
    ):
        capture(model, DATA, store=tmp_path)
    with torch.no_grad():
        hf.transformer.h[1].mlp.c_proj.weight.mul_(1.5)
    with pytest.raises(ValueError, match=r"resid_post\.1 is \d+% off at the first text"):
        capture(model, DATA, store=tmp_path)


def test_an_intervention_is_told_the_users_numbers_of_the_examples(tiny, tmp_path, monkeypatch):
    scale = Intervention("resid_post.0", lambda x, where: x * (1 + where.example[:, None] / 22))
    with intervene(tiny("gpt2"), scale):
        expected = capture(tiny("gpt2"), DATA, "resid_post.0", store=tmp_path / "whole")
        assert_same(expected, capture(tiny("gpt2"), DATA, "resid_post.0"))
        with monkeypatch.context() as patch, suppress(Died):
            die_at(20, patch)
            capture(tiny("gpt2"), DATA, "resid_post.0", store=tmp_path / "s")
        found = capture(tiny("gpt2"), DATA, "resid_post.0", store=tmp_path / "s")
    assert_same(found, expected, exact=True)


def test_two_processes_do_not_write_to_one_store(tiny, tmp_path):
    settings = {"model_name": "m"}
    with (
        open_store(tmp_path, settings, lambda: 4),
        pytest.raises(ValueError, match="another process is writing to"),
        open_store(tmp_path, settings, lambda: 4),
    ):
        pass
    with open_store(tmp_path, settings, lambda: 4) as store:
        assert store.n_examples == 0


def test_what_is_no_store_is_left_alone(tiny, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"is not empty and no store \(it has 'notes.txt'\)"):
        capture(tiny("gpt2"), DATA, store=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds no activations: it has no manifest\.json"):
        Activations.open(tmp_path)
    with pytest.raises(ValueError, match="is a file: give a folder"):
        capture(tiny("gpt2"), DATA, store=tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"kind": "activations store", "version": 9, "written by": "conceptscope 7"}',
            "version 9 .* reads version 1",
        ),
        ('{"kind": "activations st', "is not that of a store"),
        ("[1]", "is not that of a store"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tiny, tmp_path, text, said):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        capture(tiny("gpt2"), DATA, store=tmp_path)
    with pytest.raises(ValueError, match=said):
        Activations.open(tmp_path)


def test_labels_that_cannot_be_kept_are_refused(tiny, tmp_path):
    with pytest.raises(TypeError, match="a store keeps numbers and text beside activations"):
        capture(tiny("gpt2"), Examples(TEXTS, [object()] * 22), store=tmp_path)


def test_numbers_that_files_do_not_know_are_refused(tiny, tmp_path):
    data = Examples(TEXTS, contexts=torch.ones(22, 2, dtype=torch.complex64))
    with pytest.raises(TypeError, match=r"a store keeps numbers and text .*: \(1\+0j\) is a complex"):
        capture(tiny("gpt2"), data, store=tmp_path / "contexts")
    found = Activations({"embed": torch.ones(2, 3).to(torch.float8_e4m3fn)}, example=[0, 1])
    with (
        open_store(tmp_path / "site", {}, lambda: 2) as store,
        pytest.raises(TypeError, match=r"a store keeps no torch\.float8_e4m3fn, which embed has"),
    ):
        store.put(0, Examples(["a", "b"]), found)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["manifest.json"]


def test_a_shard_of_other_columns_is_refused_before_it_is_written(tmp_path):
    data = Examples(["a", "b"])
    with open_store(tmp_path, {}, lambda: 2) as store:
        store.put(0, data, Activations({"embed": torch.ones(2, 3)}, example=[0, 1]))
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        with pytest.raises(ValueError, match=r"has .*\(4,\).*, and those before it .*\(3,\)"):
            store.put(1, data, Activations({"embed": torch.ones(2, 4)}, example=[0, 1]))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_text_that_is_refused_says_where_it_is_and_the_rest_stays(tiny, tmp_path, computed):
    texts = TEXTS * 4
    long = [*texts[:73], "long " * 200, *texts[74:]]
    with pytest.raises(ValueError, match=r"among the examples 72 to 75 .*: text 1 has \d+ tokens"):
        capture(tiny("gpt2"), long, store=tmp_path)
    computed.clear()
    capture(tiny("gpt2"), texts, store=tmp_path)
    assert computed == [texts[:1], texts[72:76], texts[76:80], texts[80:84], texts[84:]]


def test_the_bar_counts_what_was_there_before(tiny, tmp_path, capfd, monkeypatch):
    with monkeypatch.context() as patch, suppress(Died):
        die_at(30, patch)
        capture(tiny("gpt2"), DATA, store=tmp_path)
    capfd.readouterr()
    capture(tiny("gpt2"), DATA, store=tmp_path, progress=True)
    assert "22/22" in capfd.readouterr().err
    capture(tiny("gpt2"), (text for text in TEXTS), store=tmp_path / "s", progress=True)
    assert "22/?" in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["generator", "rows", "examples", "csv"])
def test_examples_may_come_piece_by_piece(tiny, tmp_path, monkeypatch, kind):
    rows = [{"text": text, "label": n % 3, "group": f"g{n // 4}"} for n, text in enumerate(TEXTS)]
    if kind == "csv":
        lines = ["text,label,group", *(f"{row['text']},{row['label']},{row['group']}" for row in rows)]
        (tmp_path / "data.csv").write_text("\n".join(lines))
    whole = Examples(TEXTS, [row["label"] for row in rows], groups=[row["group"] for row in rows])
    source = {
        "generator": lambda: iter(TEXTS),
        "rows": lambda: iter(rows),
        "examples": lambda: (whole[first : first + 5] for first in range(0, 22, 5)),
        "csv": lambda: ExampleStream(tmp_path / "data.csv"),
    }[kind]
    expected = capture(tiny("gpt2"), TEXTS if kind == "generator" else whole, "resid_post.1")
    with monkeypatch.context() as patch, suppress(Died):
        die_at(25, patch)
        capture(tiny("gpt2"), source(), "resid_post.1", store=tmp_path / "s")
    found = capture(tiny("gpt2"), source(), "resid_post.1", store=tmp_path / "s")
    in_memory = capture(tiny("gpt2"), source(), "resid_post.1")
    for acts in (found, in_memory):
        acts.source.pop("data", None)
        assert_same(acts, expected)


def test_no_examples_are_refused(tiny, tmp_path):
    with pytest.raises(ValueError, match="at least one text is needed"):
        capture(tiny("gpt2"), iter([]), store=tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_shards_are_of_about_128_megabytes(tiny, monkeypatch):
    monkeypatch.undo()
    settings = capture_store.Settings(tuple(tiny("gpt2").sites()), "all")
    texts = Examples(["one two three"] * 3)
    rows = capture(tiny("gpt2"), texts, position="all").n_rows // 3
    monkeypatch.setattr(capture_store, "_SHARD_BYTES", 100 * rows * 3 * 32 * 4 + 1)
    assert capture_store.shard_size(tiny("gpt2"), texts, settings) == 100
    monkeypatch.setattr(capture_store, "_SHARD_BYTES", 1)
    assert capture_store.shard_size(tiny("gpt2"), texts, settings) == 8
    monkeypatch.setattr(capture_store, "_SHARD_BYTES", 1 << 40)
    assert capture_store.shard_size(tiny("gpt2"), texts, settings) == 1024
