import os
import pickle

import numpy as np
import pytest
import torch

from conceptscope.hooks import Activations, Examples, Site, capture
from conceptscope.hooks import _capture_store as capture_store
from conceptscope.hooks._column import Column
from conceptscope.hooks._store import open_store

N = 30
DATA = Examples(
    [f"the dog was number {n} and so was {'the ' * (n % 4)} rain" for n in range(N)],
    [f"label {n % 3}" for n in range(N)],
    groups=[("g", n // 5) for n in range(N)],
    pairs=[n // 2 for n in range(N)],
    contexts=[[n, 1] for n in range(N)],
)
SITES = ["resid_post.1", "z.0"]


@pytest.fixture(scope="module")
def stores(tiny, tmp_path_factory):
    """The same activations in a store of shards of 7 examples and in memory, for each of two rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capture_store, "_FEWEST", 7)
        patch.setattr(capture_store, "_MOST", 7)
        patch.setattr(os, "fsync", lambda handle: None)  # no test waits for the disk
        folders = {position: tmp_path_factory.mktemp(position) for position in ("last", "all")}
        for position, folder in folders.items():
            acts = capture(tiny("gpt2"), DATA, SITES, position=position, store=folder)
            acts.save(folder / "one" / "file")
    return {p: (folder, Activations.open(folder / "one" / "file")) for p, folder in folders.items()}


@pytest.fixture(params=["last", "all"])
def both(request, stores):
    folder, memory = stores[request.param]
    return Activations.open(folder), memory


def assert_same(found, expected):
    assert found.n_rows == expected.n_rows
    assert found.sites == expected.sites
    for site in expected:
        assert torch.equal(found[site], expected[site])
    for part in ("labels", "pairs", "contexts", "source"):
        assert getattr(found, part) == getattr(expected, part)
    assert [tuple(group) for group in found.groups] == [tuple(group) for group in expected.groups]
    assert found.example.tolist() == expected.example.tolist()
    assert found.position.tolist() == expected.position.tolist()


SLICES = {
    "all": slice(None),
    "some": slice(3, 17),
    "one": slice(5, 6),
    "every fifth": slice(2, 28, 5),
    "backwards": slice(None, None, -1),
    "every third backwards": slice(20, 4, -3),
    "drawn": [4, 25, 0, 4],
    "ascending": [1, 8, 20, 29],
    "mask": np.arange(40) % 3 == 1,
}


@pytest.mark.parametrize("index", SLICES.values(), ids=SLICES)
def test_rows_are_chosen_as_in_memory(both, index):
    stored, memory = both
    if isinstance(index, np.ndarray):
        index = np.resize(index, memory.n_rows)
    assert_same(stored[index], memory[index])
    assert_same(stored[index][1:5], memory[index][1:5])
    assert_same(stored[index][::-1][:3], memory[index][::-1][:3])
    assert_same(stored[index][[0]], memory[index][[0]])


@pytest.mark.parametrize("index", SLICES.values(), ids=SLICES)
@pytest.mark.parametrize("rows", [None, 1, 4, 1000])
def test_blocks_follow_one_another(both, index, rows):
    stored, memory = both
    if isinstance(index, np.ndarray):
        index = np.resize(index, memory.n_rows)
    blocks, expected = list(stored[index].blocks(rows)), memory[index]
    assert all(block.n_rows <= rows for block in blocks if rows)
    first = 0
    for block in blocks:
        assert_same(block, expected[first : first + block.n_rows])
        first += block.n_rows
    assert first == expected.n_rows


def test_a_block_is_a_shard_where_nothing_else_is_said(stores):
    acts = Activations.open(stores["last"][0])
    assert [block.n_rows for block in acts.blocks()] == [7, 7, 7, 7, 2]
    assert [block.n_rows for block in acts[5:20].blocks()] == [2, 7, 6]
    assert [block.n_rows for block in acts[[1, 2, 9, 28]].blocks()] == [2, 1, 1]
    assert [block.n_rows for block in acts[[28, 1, 9, 2]].blocks()] == [4]


def test_no_rows(stores):
    acts = Activations.open(stores["last"][0])[10:10]
    assert (acts.n_rows, acts.labels, acts["z.0"].shape) == (0, [], (0, 4, 8))
    assert list(acts.blocks()) == []


def test_it_is_a_mapping_of_sites(stores):
    acts = Activations.open(stores["all"][0])
    assert isinstance(acts, Activations)
    assert (len(acts), acts.sites) == (2, [Site("z", 0), Site("resid_post", 1)])
    assert "resid_post.1" in acts
    assert "resid_post.2" not in acts
    assert torch.equal(acts["z.0.3"], acts["z.0"][:, 3])
    assert acts.key("resid_post.-2") == Site("resid_post", 1)
    with pytest.raises(KeyError, match="was not captured: captured were"):
        acts["mlp_out.1"]
    with pytest.raises(AttributeError, match="no attribute 'lables'"):
        acts.lables  # noqa: B018


def test_other_labels_stay_with_the_rows(stores):
    acts = Activations.open(stores["last"][0]).with_labels(range(N))
    assert acts[5:9].labels == [5, 6, 7, 8]
    assert [block.labels[0] for block in acts.blocks()] == [0, 7, 14, 21, 28]
    assert acts[[3, 1]].groups == [("g", 0), ("g", 0)]
    with pytest.raises(ValueError, match="2 labels for 30 rows"):
        acts.with_labels([1, 2])
    assert Activations.open(stores["last"][0]).labels[5] == "label 2"


def test_nothing_is_read_before_it_is_used(stores, monkeypatch):
    read = []
    for name in ("read", "checksum", "mapped"):
        method = getattr(Column, name)
        monkeypatch.setattr(Column, name, lambda self, *a, m=method: read.append(self.name) or m(self, *a))
    acts = Activations.open(stores["last"][0])
    part = acts[3:20].with_labels(range(17))
    blocks = list(part.blocks())
    assert "resid_post.1 (32)" in repr(part)
    assert (acts.n_rows, acts.sites[0], read) == (N, Site("z", 0), [])
    assert blocks[0]["z.0"].shape == (4, 4, 8)
    assert set(read) == {"z.0"}
    assert part.pairs[0] == 1
    assert "resid_post.1" not in read


def test_what_is_mapped_is_the_users_own(stores):
    acts = Activations.open(stores["last"][0])
    before = acts["resid_post.1"].clone()
    acts["resid_post.1"].add_(1)
    assert torch.equal(Activations.open(stores["last"][0])["resid_post.1"], before)


def test_it_can_be_sent_to_another_process(stores):
    acts = Activations.open(stores["all"][0])[3:40]
    assert acts["z.0"].shape[0] == 37
    assert len(pickle.dumps(acts[::2])) < 2000
    assert_same(pickle.loads(pickle.dumps(acts)), acts)


def test_it_can_be_moved_and_saved(stores, tmp_path):
    acts = Activations.open(stores["all"][0])[:20]
    assert acts.to(torch.float64)["z.0"].dtype == torch.float64
    assert acts.with_tensors({"embed": torch.zeros(20, 2)}).labels == acts.labels
    acts.save(tmp_path / "part")
    assert_same(Activations.open(tmp_path / "part"), acts)


OPEN = """
import sys
from conceptscope.hooks import Activations
acts = Activations.open(sys.argv[1])
"""
READ = """
acts["resid_post.0"][5:7].sum(), acts[9:11]["resid_post.0"].sum(), acts[[3, 7]]["resid_post.0"].sum()
for block in acts.blocks():
    block["resid_post.0"].sum()
"""


def test_reading_takes_no_more_memory_than_a_shard(tmp_path, monkeypatch, memory_growth):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    with open_store(tmp_path, {"model_name": "m", "position": "last", "n_layers": 1}, lambda: 1024) as store:
        for number in range(10):
            rows = Examples([f"{number} {n}" for n in range(1024)])
            store.put(number, rows, Activations({"resid_post.0": torch.ones(1024, 2048)}))
        store.finish(10 * 1024)
    assert Activations.open(tmp_path).n_rows == 10 * 1024
    assert memory_growth(OPEN, READ, tmp_path) < 40 << 20  # of 80 MB
    assert memory_growth(OPEN, 'acts["resid_post.0"].sum()', tmp_path) > 75 << 20
