import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import conceptscope as cs
from conceptscope.worlds import tinyworld

Save = Callable[..., Path]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def cache(save: Save, tmp_path: Path) -> Path:
    """A local cache as the hub's client leaves it, with three revisions."""
    home = tmp_path / "models--someone--model"
    for number, revision in enumerate(("step0", "step10", "main")):
        commit = f"{number}" * 40
        (home / "refs").mkdir(parents=True, exist_ok=True)
        (home / "refs" / revision).write_text(commit)
        shutil.copytree(save("llama"), home / "snapshots" / commit)
    return tmp_path


def test_the_embedded_run_is_that_of_its_index() -> None:
    run = cs.checkpoints("tinyworld")
    index = json.loads((tinyworld.checkpoints_path() / "index.json").read_text())
    assert run.steps == tuple(entry["step"] for entry in index)
    assert len(run) == 25
    assert repr(run) == "Checkpoints('tinyworld', 25 steps, 0 to 3906)"


def test_each_model_is_its_folders() -> None:
    run = cs.checkpoints("tinyworld")[-2:]
    for step, model in run:
        folder = tinyworld.checkpoints_path() / f"step{step:05}"
        assert model.name == f"tinyworld@{folder.name}"
        there = cs.load_model(str(folder))
        assert torch.equal(cs.next_token_logits(model, ["the dog"]), cs.next_token_logits(there, ["the dog"]))


def test_a_folder_as_the_trainer_leaves_it(save: Save, tmp_path: Path) -> None:
    shutil.copytree(save("llama"), tmp_path, dirs_exist_ok=True)  # the final model, beside its checkpoints
    for step in (1000, 500):
        shutil.copytree(save("llama"), tmp_path / f"checkpoint-{step}")
    (tmp_path / "runs").mkdir()
    (tmp_path / "logs-7").mkdir()
    run = cs.checkpoints(tmp_path)
    assert run.steps == (500, 1000)
    assert [model.name for _, model in run] == [f"{tmp_path}@checkpoint-500", f"{tmp_path}@checkpoint-1000"]


def test_settings_of_the_loading() -> None:
    run = cs.checkpoints("tinyworld", dtype=torch.bfloat16)
    assert run.load(0).hf.dtype == torch.bfloat16


def test_revisions_of_the_cache(cache: Path, offline: None) -> None:
    with pytest.warns(UserWarning, match="only what is in the local cache is there"):
        run = cs.checkpoints("someone/model", cache_dir=str(cache))
    assert run.steps == (0, 10)
    assert run.load(10).name == "someone/model@step10"
    with pytest.warns(UserWarning, match="local cache"):
        assert cs.checkpoints("someone/model", revisions=["step10"], cache_dir=str(cache)).steps == (10,)


def test_revisions_that_the_hub_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import GitRefInfo, GitRefs

    names = ["main", "step1000", "step1", "step512", "v1.0"]
    refs = [GitRefInfo(name=name, ref=f"refs/heads/{name}", target_commit="0" * 40) for name in names]
    listed = GitRefs(branches=refs, converts=[], tags=[], pull_requests=None)
    monkeypatch.setattr("conceptscope.analyses._checkpoints_of_hub.hub_is_out_of_reach", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_refs", lambda self, name, token: listed)
    assert cs.checkpoints("EleutherAI/pythia-70m").steps == (1, 512, 1000)
    with pytest.raises(ValueError, match="no revision 'step513' on the hub: did you mean 'step512'"):
        cs.checkpoints("EleutherAI/pythia-70m", revisions=["step513"])
    with pytest.raises(ValueError, match="'main' of 'EleutherAI/pythia-70m' holds no step"):
        cs.checkpoints("EleutherAI/pythia-70m", revisions=["main"])


def test_a_mapping(save: Save, tiny: Callable[..., cs.HookedModel]) -> None:
    model, folder = tiny("llama"), save("llama")
    run = cs.checkpoints({7: folder, 3: model, 5: lambda: model})
    assert run.steps == (3, 5, 7)
    assert run.load(3) is model
    assert run.load(7).name == str(folder)
    assert cs.checkpoints(run) is run


def test_a_part() -> None:
    run = cs.checkpoints("tinyworld")
    assert run[1:9:3].steps == (16, 33, 67)
    with pytest.raises(TypeError, match=r"\.load\(16\) loads one"):
        run[16]
    with pytest.raises(ValueError, match="no checkpoint of tinyworld is left: there are 25"):
        run[30:]
    with pytest.raises(KeyError, match="no checkpoint of step 17: there are 0, 16, 20"):
        run.load(17)


def test_folders_that_are_no_run(save: Save, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder '/nowhere/at/all'"):
        cs.checkpoints("/nowhere/at/all")
    with pytest.raises(ValueError, match="holds no checkpoints: expected folders such as step100/"):
        cs.checkpoints(tmp_path)
    with pytest.raises(ValueError, match="is one model, not a run"):
        cs.checkpoints(save("llama"))
    shutil.copytree(save("llama"), tmp_path / "step1")
    (tmp_path / "step2").mkdir()
    with pytest.raises(ValueError, match=r"'step2' of '.*' is no checkpoint, as it has no config.json"):
        cs.checkpoints(tmp_path)
    (tmp_path / "step2" / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        cs.checkpoints(tmp_path)
    shutil.rmtree(tmp_path / "step2")
    shutil.copytree(tmp_path / "step1", tmp_path / "step001")
    with pytest.raises(ValueError, match=r"'step001' and 'step1' of .* are both step 1: rename"):
        cs.checkpoints(tmp_path)
    (tmp_path / "step001").rename(tmp_path / "best")
    with pytest.raises(ValueError, match=r"'best' of .* holds no step"):
        cs.checkpoints(tmp_path)


def test_different_architectures(save: Save, tiny: Callable[..., cs.HookedModel], tmp_path: Path) -> None:
    for step, folder in ((1, save("llama")), (2, save("gpt2"))):
        shutil.copytree(folder, tmp_path / f"step{step}")
    with pytest.raises(ValueError, match="different architectures: model_type is llama at step 1 and gpt2"):
        cs.checkpoints(tmp_path)
    shutil.rmtree(tmp_path / "step2")
    shutil.copytree(save("llama", vocab_size=500), tmp_path / "step2")
    with pytest.raises(ValueError, match="vocab_size is 400 at step 1 and 500 at step 2"):
        cs.checkpoints(tmp_path)
    run = cs.checkpoints({1: tiny("llama"), 2: tiny("gpt2")})
    run.load(1)
    with pytest.raises(ValueError, match="class is LlamaForCausalLM at step 1 and GPT2LMHeadModel at step 2"):
        run.load(2)


def test_hub_errors(cache: Path, offline: None) -> None:
    here = {"cache_dir": str(cache)}
    with (
        pytest.warns(UserWarning, match="local cache"),
        pytest.raises(ValueError, match="no revision 'step11' in the local cache: did you mean 'step10'"),
    ):
        cs.checkpoints("someone/model", revisions=["step11"], **here)
    with pytest.raises(OSError, match="none of the model's revisions is in the local cache"):
        cs.checkpoints("someone/else", **here)
    with pytest.raises(TypeError, match=r"write \['step10'\]"):
        cs.checkpoints("someone/model", revisions="step10", **here)
    with (
        pytest.warns(UserWarning, match="local cache"),
        pytest.raises(ValueError, match="revisions= holds no name"),
    ):
        cs.checkpoints("someone/model", revisions=[], **here)
    for name in ("step0", "step10"):
        (cache / "models--someone--model" / "refs" / name).unlink()
    with (
        pytest.warns(UserWarning, match="local cache"),
        pytest.raises(ValueError, match=r"no revision that names a step.*main"),
    ):
        cs.checkpoints("someone/model", **here)


def test_what_is_no_source(tiny: Callable[..., cs.HookedModel]) -> None:
    with pytest.raises(TypeError, match="cannot take checkpoints from HookedModel"):
        cs.checkpoints(tiny("llama"))
    with pytest.raises(TypeError, match="the keys of a mapping of checkpoints are training steps, got 'a'"):
        cs.checkpoints({"a": tiny("llama")})
    with pytest.raises(TypeError, match="the checkpoint of step 1 is a int"):
        cs.checkpoints({1: 2})
    with pytest.raises(ValueError, match="the mapping holds no checkpoints"):
        cs.checkpoints({})
    with pytest.raises(ValueError, match="revisions= are those of a model on the Hugging Face hub"):
        cs.checkpoints("tinyworld", revisions=["step0"])
