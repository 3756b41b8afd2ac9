"""Folders whose weights and config do not fit together, and those that do though something is absent."""

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from conceptscope.hooks import capture, generate, load_model

Change = Callable[[str, torch.Tensor], torch.Tensor | None]


def rewrite(folder: Path, change: Change) -> Path:
    """Write the weights anew, each tensor as change gives it; those that it gives as None are left out."""
    path = folder / "model.safetensors"
    changed = {name: change(name, tensor) for name, tensor in load_file(path).items()}
    save_file(
        {name: tensor for name, tensor in changed.items() if tensor is not None}, path, {"format": "pt"}
    )
    return folder


def without(folder: Path, part: str) -> Path:
    return rewrite(folder, lambda name, tensor: None if part in name else tensor)


def configured(folder: Path, **settings: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return folder


def test_weights_that_lack_tensors_are_refused_by_name(save):
    folder = without(save("llama"), "layers.1.mlp")
    with pytest.raises(OSError, match=r"lack 3 of the 30 tensors of LlamaForCausalLM: ") as error:
        load_model(folder)
    for projection in ("down", "gate", "up"):
        assert f"model.layers.1.mlp.{projection}_proj.weight" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("part", ["embed_tokens", "norm", "layers"])
def test_no_part_of_the_body_may_be_absent(save, part):
    with pytest.raises(OSError, match="its weights lack"):
        load_model(without(save("llama"), part))


def test_a_config_of_another_model_is_refused(save, tmp_path):
    shutil.copy(save("gpt2") / "config.json", tmp_path / "config.json")
    folder = save("llama")
    shutil.copy(tmp_path / "config.json", folder)
    with pytest.raises(OSError, match=r"its weights lack 39 of the 41 tensors of GPT2LMHeadModel"):
        load_model(folder)


def test_other_shapes_are_refused_by_name_unless_they_are_meant(save):
    folder = rewrite(
        save("llama"), lambda name, tensor: tensor[:-1].clone() if "0.mlp.up" in name else tensor
    )
    message = r"other shapes than config.json says: model.layers.0.mlp.up_proj.weight has \(63, 32\) and not"
    with pytest.raises(OSError, match=message):
        load_model(folder)
    assert load_model(folder, ignore_mismatched_sizes=True).n_layers == 3


@pytest.mark.architectures("gpt2", "llama", "bert", "mixtral")
def test_blocks_that_the_config_does_not_count_are_refused_unless_they_are_meant(save, architecture):
    folder = save(architecture)
    assert load_model(folder, num_hidden_layers=2).n_layers == 2
    count = "n_layer" if architecture == "gpt2" else "num_hidden_layers"
    with pytest.raises(OSError, match="hold more blocks than the 2 that"):
        load_model(configured(folder, **{count: 2}))


def test_a_head_that_is_absent_leaves_the_body(save, sentences):
    folder = save("llama")
    whole = load_model(folder)
    expected = capture(whole, sentences)["resid_post.2"]
    with pytest.warns(
        UserWarning, match="lack lm_head.weight: LlamaModel is loaded, which is LlamaForCausalLM"
    ):
        model = load_model(without(folder, "lm_head"))
    assert type(model.hf).__name__ == "LlamaModel"
    assert torch.equal(capture(model, sentences)["resid_post.2"], expected)
    with pytest.raises(ValueError, match="has no head, and continues no text"):
        generate(model, ["The"], max_new_tokens=1)


def test_a_base_with_a_classifiers_config_is_its_body_without_pooler(save, sentences):
    folder = configured(save("bert"), architectures=["BertForSequenceClassification"])
    expected = capture(load_model(configured(save("bert"))), sentences)["resid_post.2"]
    with pytest.warns(UserWarning, match="BertModel is loaded"):
        model = load_model(folder)
    assert torch.equal(capture(model, sentences)["resid_post.2"], expected)
    with pytest.raises(ValueError, match=r"unknown site or module 'pooler.dense'"):
        model.resolve_sites("pooler.dense")


@pytest.mark.architectures("bert", "roberta")
def test_a_body_without_a_pooler_is_whole(save, sentences, architecture):
    folder = save(architecture)
    expected = capture(load_model(folder), sentences)["resid_post.2"]
    body = {"bert": "BertModel", "roberta": "RobertaModel"}[architecture]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model = load_model(configured(folder, architectures=[body]))
    assert torch.equal(capture(model, sentences)["resid_post.2"], expected)


def test_a_head_whose_pooler_is_absent_is_left_out_with_it(save):
    folder = without(save("bert", "BertForSequenceClassification"), "pooler")
    with pytest.warns(UserWarning, match=r"lack bert.pooler.dense.bias, bert.pooler.dense.weight: BertModel"):
        assert load_model(folder).hf.pooler is None


def test_every_architecture_is_whole_as_it_is_saved(save, architecture):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load_model(save(architecture))


@pytest.mark.parametrize("kept", [0, 60, 5000])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_cut_off_are_refused(save, name, kept):
    folder = save("llama")
    if name.endswith(".bin"):
        torch.save(load_file(folder / "model.safetensors"), folder / name)
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes((folder / name).read_bytes()[:kept])
    with pytest.raises(OSError, match="its weights are broken, perhaps not wholly copied"):
        load_model(folder)


def test_a_pointer_of_git_lfs_is_no_model(save):
    folder = save("llama")
    for name in ("model.safetensors", "pytorch_model.bin"):
        (folder / "model.safetensors").unlink(missing_ok=True)
        (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n")
        with pytest.raises(OSError, match="pointers of Git LFS"):
            load_model(folder)
        (folder / name).unlink()


def test_the_model_that_transformers_makes_is_taken(save, tokenizer_for):
    folder = without(save("llama"), "layers.1.mlp")
    transformers.logging.set_verbosity_error()
    made = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert load_model(made, tokenizer=tokenizer_for("llama")).n_layers == 3
