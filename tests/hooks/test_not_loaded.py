"""Folders, names and settings that no model can be loaded from: one sentence each."""

import json

import pytest
import torch
import transformers

from conceptscope.hooks import load_model


def refusal(source, **settings):
    with pytest.raises(OSError, match=r"\A[^\n]*\Z") as error:
        load_model(source, **settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{no", "not a valid JSON file"),
        ("{}", "Should have a `model_type`"),
        ('{"model_type": "no-such"}', "model type `no-such`"),
        ('{"model_type": "llama", "hidden_size": "wide"}', "'hidden_size' expected int, got str"),
        ('{"model_type": "llama", "hidden_size": 32, "num_attention_heads": 5}', "not a multiple"),
    ],
)
def test_a_broken_config(save, config, said):
    folder = save("llama")
    (folder / "config.json").write_text(config)
    assert said in refusal(folder)


def test_without_config_or_weights(save):
    folder = save("llama")
    (folder / "model.safetensors").unlink()
    assert "no file named model.safetensors" in refusal(folder)
    (folder / "config.json").unlink()
    assert "holds no model that can be loaded" in refusal(folder)


@pytest.mark.parametrize("content", [None, "{no", "{}", '{"model": 3}'])
def test_a_broken_tokenizer_leads_to_another(save, tokenizer_for, content):
    folder = save("llama")
    if content is None:
        for path in folder.glob("*tok*"):
            path.unlink()
    else:
        (folder / "tokenizer.json").write_text(content)
    said = refusal(folder)
    assert "there is no tokenizer to be had from" in said
    assert "give load_model another with tokenizer=" in said
    assert load_model(folder, tokenizer=tokenizer_for("llama")).n_layers == 3


def test_a_tokenizers_folder_that_is_not_there(save, tmp_path):
    assert "there is no folder" in refusal(save("llama"), tokenizer=tmp_path / "missing")


def test_a_shard_that_is_not_there_is_named(save):
    folder = save("llama")
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"metadata": {}, "weight_map": {"lm_head.weight": "model-1-of-2.safetensors"}})
    )
    assert "model-1-of-2.safetensors" in refusal(folder)
    index.write_text("{no")
    assert "a file of it is not JSON" in refusal(folder)


def test_a_file_that_may_not_be_read_is_named_without_a_number(save, monkeypatch):
    def forbidden(path, **settings):
        raise PermissionError(13, "Permission denied", f"{path}/config.json")

    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", forbidden)
    said = refusal(save("llama"))
    assert "(Permission denied: " in said
    assert "Errno" not in said


def test_a_file_is_no_folder(save):
    for name in ("config.json", "model.safetensors"):
        said = refusal(save("llama") / name)
        assert "is a file, not a model: give the folder with config.json and the weights" in said


@pytest.mark.parametrize("name", ["TinyWorld", "tinywrld", "tiny-world"])
def test_the_embedded_model_is_guessed(name, monkeypatch):
    assert refusal(name, local_files_only=True) == f"there is no model {name!r}: did you mean 'tinyworld'?"


def test_an_empty_name_is_no_model():
    assert refusal("").startswith("an empty name is no model")


@pytest.mark.parametrize(
    ("dtype", "expected"), [("bf16", torch.bfloat16), ("auto", None), ("fp32", torch.float32)]
)
def test_dtypes_go_by_the_names_that_capture_knows(save, dtype, expected):
    assert load_model(save("llama"), dtype=dtype).hf.dtype == (expected or torch.float32)


@pytest.mark.parametrize("dtype", ["bf17", 16, torch.nn.Linear])
def test_what_is_no_dtype_is_refused(dtype):
    with pytest.raises(ValueError, match=r"dtype must be one of bf16, .* or torch's own, got"):
        load_model("tinyworld", dtype=dtype)


@pytest.mark.parametrize("device", ["gpu", "mps:7", "cuda:99", 99])
def test_a_device_that_is_not_there_is_refused_before_anything_is_loaded(monkeypatch, device):
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", None)
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used here") as error:
        load_model("tinyworld", device=device)
    assert len(str(error.value)) < 250
