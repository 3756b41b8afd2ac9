"""The embedded model against its bars: what it has learned, and whether methods can be told apart on it."""

import itertools
import json
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from safetensors import safe_open

from conceptscope.hooks import HookedModel, load_model
from conceptscope.worlds import tinyworld
from conceptscope.worlds.tinyworld._evaluate import evaluate


@pytest.fixture(scope="module")
def bars(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("tinyworld_bars")


@pytest.fixture(scope="module")
def model() -> HookedModel:
    return load_model("tinyworld")


GENERALISES = "negation x future, untuned"
"""The one bar that is missed: untuned, the model already turns what will not be."""


@pytest.mark.parametrize(
    "section", ["learning", "confound", "flips", "interactions", "unlocking", "convexity"]
)
def test_the_embedded_model_meets_its_bars(section: str, bars: ModuleType, model: HookedModel) -> None:
    missed = [bar for bar in getattr(bars, section)(model) if not bar.met and bar.name != GENERALISES]
    assert not missed


def test_probes_tell_the_trained_model_from_an_untrained_one(bars: ModuleType, model: HookedModel) -> None:
    missed = [bar for bar in bars.probes(model, bars.untrained_like(model)) if not bar.met]
    assert not missed


def test_the_embedded_files_are_small_and_standard(model: HookedModel) -> None:
    files = list(tinyworld.weights_path().iterdir())
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= {file.name for file in files}
    assert sum(file.stat().st_size for file in files) <= 8e6
    assert type(model.hf).__name__ == "LlamaForCausalLM"
    assert model.hf.dtype == torch.float32


def test_the_siblings_checkpoints_are_log_spaced_and_small() -> None:
    folder = tinyworld.checkpoints_path()
    index = json.loads((folder / "index.json").read_text())
    assert len(index) >= 24
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 12e6
    steps = [entry["step"] for entry in index]
    assert steps[0] == 0
    ratios = [b / a for a, b in itertools.pairwise(steps[1:])]
    assert max(ratios) / min(ratios) < 1.25
    with safe_open(folder / index[-1]["folder"] / "model.safetensors", "pt") as weights:
        tensors = [weights.get_tensor(name) for name in weights.keys()]  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors} == {torch.float16}
    assert sum(tensor.numel() for tensor in tensors) <= 240_000


def test_the_sibling_learns_over_its_checkpoints() -> None:
    folder = tinyworld.checkpoints_path()
    index = json.loads((folder / "index.json").read_text())
    texts = list(tinyworld.sample(400, generator=9))
    first, middle, last = (
        evaluate(load_model(folder / index[at]["folder"]).hf, texts).excess
        for at in (0, len(index) * 3 // 4, -1)
    )
    assert first > 3
    assert first > middle > last
    assert last < 0.015
