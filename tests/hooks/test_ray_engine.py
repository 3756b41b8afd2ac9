"""Captures on a real Ray cluster of two workers on this machine."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from conceptscope.hooks import Examples, Intervention, RayEngine, add_vector, capture, intervene, load_model
from conceptscope.hooks import _capture_store as capture_store
from conceptscope.hooks._ray_engine import _unchanged

ray = pytest.importorskip("ray")

TEXTS = [f"the dog was {'very ' * (n % 5)}happy about the {'red ' * (n % 3)}rain" for n in range(90)]
DATA = Examples(
    TEXTS,
    [n % 3 for n in range(90)],
    groups=[f"g{n // 4}" for n in range(90)],
    contexts=torch.arange(180.0).view(90, 2),
    name="words",
)
ENGINE = RayEngine(workers=2)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    answer = signal.getsignal(signal.SIGTERM)
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        configure_logging=False,
        log_to_driver=False,
        object_store_memory=80 * 2**20,
    )
    yield
    ray.shutdown()
    signal.signal(signal.SIGTERM, answer)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(capture_store, "_FEWEST", 8)
    monkeypatch.setattr(capture_store, "_MOST", 8)


@pytest.fixture(scope="module")
def model():
    return load_model("tinyworld")


def assert_same(found, expected):
    assert list(found) == list(expected)
    for site in expected:
        torch.testing.assert_close(found[site], expected[site], rtol=0, atol=1e-6)
    for part in ("labels", "groups", "source", "n_rows"):
        assert getattr(found, part) == getattr(expected, part)
    assert found.example.tolist() == expected.example.tolist()
    assert (found.position is None) == (expected.position is None)
    if expected.position is not None:
        assert found.position.tolist() == expected.position.tolist()
    assert torch.equal(torch.as_tensor(found.contexts), torch.as_tensor(expected.contexts))


def test_begun_here_and_finished_by_workers(model, tmp_path):
    def stops():
        yield DATA[:30]
        raise RuntimeError("the source broke off")

    with intervene(model, add_vector("resid_post.0", torch.ones(model.d_model), "last")):
        expected = capture(model, DATA, position="all", store=tmp_path / "plain")
        with pytest.raises(RuntimeError, match="broke off"):
            capture(model, stops(), position="all", store=tmp_path / "ray")
        found = capture(model, DATA, position="all", store=tmp_path / "ray", engine=ENGINE)
    assert_same(found, expected)


def test_a_killed_worker_is_replaced_and_the_capture_finished_here(model, tmp_path):
    folder, driver = str(tmp_path), os.getpid()

    def deadly(x, where):
        """Kills the worker that has example 21, the first time."""
        flag = Path(folder, "killed")
        if os.getpid() != driver and 21 in where.example.tolist() and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x * (1 + where.example[:, None] / 90)

    refused = Examples([*TEXTS[:87], "long " * 900, *TEXTS[88:]], name="words")
    whole = Examples(TEXTS, name="words")
    with intervene(model, Intervention("resid_post.0", deadly, "last")):
        expected = capture(model, whole, store=tmp_path / "plain")
        with pytest.raises(ValueError, match=r"^among the examples 80 to 87 .*: text 7 has \d+ tokens"):
            capture(model, refused, store=tmp_path / "ray", engine=ENGINE)
        assert (tmp_path / "killed").exists()
        found = capture(model, whole, store=tmp_path / "ray")
    assert all(torch.equal(found[site], expected[site]) for site in expected)


def test_an_error_in_a_worker_is_the_users_own_and_no_worker_is_left(model, tmp_path):
    def fails(x, where):
        if 42 in where.example.tolist():
            raise ValueError("no such thing")
        return x

    with (
        intervene(model, Intervention("resid_post.0", fails)),
        pytest.raises(ValueError, match=r"^among the examples 40 to 47 \(.*\): no such thing$") as caught,
    ):
        capture(model, DATA, store=tmp_path, engine=ENGINE)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    # The lock of a worker goes with its process, and the next capture needs all of them gone.
    assert capture(model, DATA, store=tmp_path).n_rows == 90


def test_without_ray_the_extra_is_named(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"ray cannot be loaded .*: pip install \"conceptscope\[ray\]\""):
        capture(model, TEXTS, store=tmp_path, engine="ray")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 0}, "workers must be a positive whole number"),
        ({"retries": -1}, "retries must not be negative, got -1"),
        ({"gpus_per_worker": -0.5}, "gpus_per_worker must not be negative"),
        ({"cpus_per_worker": float("nan")}, "cpus_per_worker must not be negative"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        RayEngine(**settings)


def test_what_is_there_already_needs_no_cluster(model, tmp_path, monkeypatch):
    capture(model, DATA, store=tmp_path)
    monkeypatch.setattr(ray, "is_initialized", lambda: pytest.fail("Ray was asked"))
    assert capture(model, DATA, store=tmp_path, engine="ray").n_rows == 90


def test_the_process_is_left_as_it_was():
    logger = logging.getLogger("ray")
    before = logger.level, signal.getsignal(signal.SIGTERM)
    with _unchanged():
        assert logger.level == logging.ERROR
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert (logger.level, signal.getsignal(signal.SIGTERM)) == before
