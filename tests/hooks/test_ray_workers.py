"""How shards are handed out, redone and committed, on a stand-in for Ray that runs in this process.

The order in which it finishes shards and the deaths of its workers are told to it.
"""

import errno
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from conceptscope.hooks import Activations, Examples, Intervention, RayEngine, capture, intervene, load_model
from conceptscope.hooks import _capture_store as capture_store
from conceptscope.hooks import _ray_engine as ray_engine
from conceptscope.hooks import _ray_worker as ray_worker
from conceptscope.hooks import _ray_workers as ray_workers
from conceptscope.hooks._manifest import Manifest

TEXTS = [f"the dog was {'very ' * (n % 5)}happy" for n in range(22)]
DATA = Examples(TEXTS, [n % 3 for n in range(22)], contexts=torch.arange(44.0).view(22, 2))


class TaskError(Exception):
    def __init__(self, cause):
        self.cause = cause


class DeathError(Exception):
    pass


class Actor:
    def __init__(self, worker):
        self.worker = worker


@dataclass(frozen=True, eq=False)
class Said:
    actor: Actor
    method: str
    args: tuple


class Ray:
    """``last_first``: the shard that was handed out last is finished first. ``deaths``: how often a worker
    dies at the shard with this first example, or with None when it loads the model."""

    def __init__(self, last_first=False, deaths=None):
        self.last_first, self.deaths = last_first, dict(deaths or {})
        self.exceptions = SimpleNamespace(RayTaskError=TaskError, RayError=DeathError)
        self.alive, self.started, self.tasks, self.most, self.put = [], 0, [], 0, lambda thing: thing

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, cls):
        return SimpleNamespace(
            options=lambda **asked: SimpleNamespace(remote=lambda: self.start(cls(), asked))
        )

    def start(self, worker, asked):
        self.asked = asked
        self.started += 1
        actor = Actor(worker)
        actor.load = SimpleNamespace(remote=lambda *args: Said(actor, "load", args))
        actor.capture = SimpleNamespace(remote=lambda task: self.handed(actor, task))
        self.alive.append(actor)
        return actor

    def handed(self, actor, task):
        self.tasks.append(task.first)
        return Said(actor, "capture", (task,))

    def wait(self, said):
        self.most = max(self.most, len(said))
        return [said[-1 if self.last_first else 0]], []

    def get(self, said):
        key = said.args[0].first if said.method == "capture" else None
        if self.deaths.get(key, 0) > 0:
            self.deaths[key] -= 1
            raise DeathError
        try:
            return getattr(said.actor.worker, said.method)(*said.args)
        except Exception as error:
            raise TaskError(error) from error

    def kill(self, actor):
        self.alive.remove(actor)
        if hasattr(actor.worker, "_lock"):
            actor.worker._lock.release()


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(capture_store, "_FEWEST", 4)
    monkeypatch.setattr(capture_store, "_MOST", 4)


@pytest.fixture
def on(monkeypatch):
    """Let captures run on a stand-in."""

    def on(ray):
        @contextmanager
        def connected(address):
            yield ray

        monkeypatch.setattr(ray_engine, "_connected", connected)
        return ray

    return on


@pytest.fixture(scope="module")
def model():
    return load_model("tinyworld")


def assert_same(found, expected):
    assert list(found) == list(expected)
    for site in expected:
        torch.testing.assert_close(found[site], expected[site], rtol=1e-5, atol=1e-5)
    assert found.labels == expected.labels
    assert found.example.tolist() == expected.example.tolist()
    if expected.contexts is not None:
        assert torch.equal(torch.as_tensor(found.contexts), torch.as_tensor(expected.contexts))
    assert found.source == expected.source


@pytest.mark.parametrize("last_first", [False, True])
@pytest.mark.parametrize("position", ["last", "all"])
def test_shards_may_be_finished_in_any_order(model, on, tmp_path, last_first, position):
    ray = on(Ray(last_first))
    found = capture(model, DATA, position=position, store=tmp_path / "ray", engine=RayEngine(workers=3))
    assert_same(found, capture(model, DATA, position=position, store=tmp_path / "plain"))
    for file in (tmp_path / "plain").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "ray" / file.name).read_bytes()
    assert sorted(ray.tasks) == [0, 4, 8, 12, 16, 20]
    assert (ray.started, ray.most, ray.alive) == (3, 3, [])


def test_no_more_workers_are_started_than_there_are_shards(model, on, tmp_path):
    ray = on(Ray())
    capture(model, DATA[:7], store=tmp_path, engine=RayEngine(workers=9))
    assert ray.started == 2
    capture(model, DATA[:7], store=tmp_path, engine="ray")
    assert ray.started == 2  # all is there


@pytest.mark.parametrize("deaths", [{4: 1}, {0: 2, 12: 3, 20: 1}, {None: 3, 8: 1}])
@pytest.mark.parametrize("last_first", [False, True])
def test_a_worker_that_dies_is_replaced_and_its_shard_redone(model, on, tmp_path, deaths, last_first):
    expected = capture(model, DATA)
    ray = on(Ray(last_first, deaths))
    assert_same(capture(model, DATA, store=tmp_path, engine="ray"), expected)
    assert ray.started > sum(deaths.values())
    assert ray.alive == []


def test_examples_at_which_workers_always_die_are_named_and_those_before_stay(model, on, tmp_path):
    ray = on(Ray(last_first=True, deaths={8: 99}))
    with pytest.raises(
        RuntimeError, match=r"3 of Ray's workers died .* at the examples 8 to 11 \(counted"
    ) as caught:
        capture(model, DATA, store=tmp_path, engine=RayEngine(workers=2, retries=2))
    assert caught.value.__cause__ is None
    assert ray.alive == []
    assert ray.tasks.count(8) == 3
    assert_same(capture(model, DATA, store=tmp_path), capture(model, DATA))


def test_workers_that_never_live_to_work_are_said(model, on, tmp_path):
    on(Ray(deaths={None: 99}))
    with pytest.raises(
        RuntimeError, match=r"died one after another while they loaded tinyworld: .* memory for 2"
    ):
        capture(model, DATA, store=tmp_path, engine=RayEngine(retries=1))


@pytest.mark.parametrize("last_first", [False, True])
def test_an_error_in_a_worker_is_the_same_as_here(model, on, tmp_path, last_first):
    def fails(x, where):
        if (where.example == 13).any():
            raise ValueError("no such thing")
        return x

    ray = on(Ray(last_first))
    with intervene(model, Intervention("resid_post.0", fails)):
        with pytest.raises(ValueError, match="no such thing") as here:
            capture(model, DATA, store=tmp_path / "plain")
        with pytest.raises(ValueError, match="no such thing") as there:
            capture(model, DATA, store=tmp_path / "ray", engine="ray")
    assert str(there.value) == str(here.value)
    assert str(there.value).startswith("among the examples 12 to 15")
    assert ray.alive == []
    for name in ("plain", "ray"):
        with capture_store.open_store(tmp_path / name, saved(tmp_path / name), lambda: 4) as store:
            assert store.n_examples == 12


def saved(folder):
    return Manifest.read(folder).settings


def test_a_text_that_is_refused_here_waits_for_the_shards_before_it(model, on, tmp_path):
    on(Ray(last_first=True))
    texts = [*TEXTS, *TEXTS, *TEXTS, "long " * 900]  # beyond those that the size of a shard is found by
    with pytest.raises(ValueError, match=r"among the examples 64 to 66 .*: text 2 has \d+ tokens"):
        capture(model, texts, store=tmp_path, engine="ray")
    with capture_store.open_store(tmp_path, saved(tmp_path), lambda: 4) as store:
        assert store.n_examples == 64


def test_after_ctrl_c_no_worker_is_left_and_the_capture_goes_on(model, on, tmp_path):
    def interrupted():
        yield from TEXTS[:14]
        raise KeyboardInterrupt

    ray = on(Ray())
    with pytest.raises(KeyboardInterrupt):
        capture(model, interrupted(), store=tmp_path, engine="ray")
    assert ray.alive == []
    found = capture(model, TEXTS, store=tmp_path)
    assert_same(found, capture(model, TEXTS))


def test_a_stream_is_read_as_workers_take_it(model, on, tmp_path):
    read, ahead = [], []
    ray = on(Ray())

    def texts():
        for n in range(80):
            read.append(n)
            ahead.append(len(read) - 4 * len(ray.tasks))
            yield TEXTS[n % 22]

    capture(model, texts(), store=tmp_path, engine=RayEngine(workers=2))
    assert max(ahead[65:]) <= 8


def test_a_slow_shard_lets_only_some_others_pass(model, on, tmp_path):
    ray = on(Ray())
    at_first, wait = [], ray.wait

    def the_first_is_slow(said):
        others = [one for one in said if one.method == "load" or one.args[0].first]
        at_first.append(len(ray.tasks) if others != said else 0)
        return wait(others or said)

    ray.wait = the_first_is_slow
    texts = TEXTS * 4
    expected = capture(model, texts)
    assert_same(capture(model, texts, store=tmp_path, engine=RayEngine(workers=2)), expected)
    assert max(at_first) == ray_workers._AHEAD * 2 + 1


@pytest.mark.parametrize("shards", [[0], [8, 20], [0, 4, 8, 12, 16, 20]])
def test_what_is_damaged_is_done_anew(model, on, tmp_path, shards):
    capture(model, DATA, "resid_post.1", store=tmp_path)
    file = tmp_path / "resid_post.1.safetensors"
    whole = file.read_bytes()
    with file.open("r+b") as opened:
        for first in shards:
            opened.seek(4096 + (first + 1) * 4 * model.d_model)
            opened.write(b"\xff" * 64)
    ray = on(Ray(last_first=True))
    capture(model, DATA, "resid_post.1", store=tmp_path, engine="ray")
    assert sorted(ray.tasks) == shards
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("settings", "there", "said"),
    [
        (
            {"cpus_per_worker": 3},
            {"CPU": 2.0},
            "a worker needs 3 CPUs and 0 GPUs, and the Ray cluster has 2 and 0",
        ),
        ({"gpus_per_worker": 1}, {"CPU": 2.0}, "a worker needs 1 CPUs and 1 GPUs"),
    ],
)
def test_a_worker_that_fits_on_no_cluster_is_refused(model, on, tmp_path, settings, there, said):
    ray = on(Ray())
    ray.cluster_resources = lambda: there
    with pytest.raises(ValueError, match=said):
        capture(model, DATA, store=tmp_path, engine=RayEngine(**settings))
    assert ray.started == 0


@pytest.mark.parametrize(
    ("settings", "there", "crew"),
    [
        ({}, {"CPU": 8.0}, (8, 1, 0)),
        ({}, {"CPU": 64.0, "GPU": 4.0}, (4, 1, 1)),
        ({"gpus_per_worker": 0.5, "cpus_per_worker": 2}, {"CPU": 64.0, "GPU": 4.0}, (8, 2, 0.5)),
        ({"gpus_per_worker": 0}, {"CPU": 6.0, "GPU": 4.0}, (6, 1, 0)),
        ({"workers": 3}, {"CPU": 8.0}, (3, 1, 0)),
        ({"cpus_per_worker": 0}, {"CPU": 8.0}, (1, 0, 0)),
    ],
)
def test_there_are_as_many_workers_as_fit(settings, there, crew):
    found = RayEngine(**settings)._crew(there)
    assert (found.size, found.cpus, found.gpus) == crew


def test_a_folder_that_a_worker_does_not_see_is_said(model, on, tmp_path, monkeypatch):
    join = ray_worker.join_store
    monkeypatch.setattr(ray_worker, "join_store", lambda folder: join(folder / "elsewhere"))
    on(Ray())
    with pytest.raises(
        ValueError, match=r"is not there on .*: give a folder on a disk that all machines share"
    ):
        capture(model, DATA, store=tmp_path, engine="ray")


def test_a_disk_that_is_full_in_a_worker_is_said_and_what_was_written_stays(model, on, tmp_path, monkeypatch):
    write = ray_worker.write_shard

    def fills(folder, shard, *args):
        if shard.examples[0] == 8:
            raise OSError(errno.ENOSPC, "no space left on device")
        return write(folder, shard, *args)

    monkeypatch.setattr(ray_worker, "write_shard", fills)
    ray = on(Ray(last_first=True))
    with pytest.raises(OSError, match=r"there is no room for the next shard of .*: what is there"):
        capture(model, DATA, store=tmp_path, engine="ray")
    assert ray.alive == []
    assert (tmp_path / "resid_post.1.safetensors").stat().st_size == 4096 + 8 * 4 * model.d_model
    assert_same(capture(model, DATA, store=tmp_path), capture(model, DATA))


def test_the_bar_counts_what_is_in_the_store(model, on, tmp_path, capfd):
    on(Ray(last_first=True))
    capture(model, DATA, store=tmp_path, engine="ray", progress=True)
    assert "22/22" in capfd.readouterr().err
    assert isinstance(Activations.open(tmp_path), Activations)
