import copy
import json
import socket

import huggingface_hub.constants
import pytest
import torch
import transformers

from conceptscope.hooks import capture, load_model


def test_a_folder_gives_what_transformers_gives(save, sentences):
    folder = save("llama")
    model = load_model(folder)
    expected = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert model.name == str(folder)
    assert model.hf.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(model.hf.parameters(), expected.parameters(), strict=True))
    assert model.tokenizer(sentences) == transformers.AutoTokenizer.from_pretrained(folder)(sentences)
    assert not model.hf.training


def test_loading_from_a_folder_prints_nothing(save, capfd):
    folder = save("llama")
    capfd.readouterr()
    load_model(folder)
    assert capfd.readouterr() == ("", "")
    assert transformers.logging.is_progress_bar_enabled()


@pytest.mark.parametrize(
    ("family", "model_class"),
    [
        ("gpt2", "GPT2LMHeadModel"),
        ("bert", "BertModel"),
        ("bert", "BertForMaskedLM"),
        ("llama", "LlamaForSequenceClassification"),
        ("roberta", "RobertaForSequenceClassification"),
        ("distilbert", "DistilBertModel"),
    ],
)
def test_the_class_is_the_one_that_the_config_names(save, sentences, family, model_class):
    model = load_model(save(family, model_class))
    assert type(model.hf).__name__ == model_class
    assert capture(model, sentences)["resid_post.2"].shape == (9, 32)


def test_a_config_that_names_no_class_gives_a_body(save):
    folder = save("bert", "BertModel")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.architectures = None
    config.save_pretrained(folder)
    assert type(load_model(folder).hf).__name__ == "BertModel"


def test_the_bridge_is_built_on_the_class_that_the_config_names(save, sentences):
    folder = save("llama", "LlamaForSequenceClassification")
    model, bridged = load_model(folder), load_model(folder, backend="bridge")
    assert type(bridged.hf).__name__ == "LlamaForSequenceClassification"
    found, expected = capture(bridged, sentences)["resid_post.2"], capture(model, sentences)["resid_post.2"]
    assert torch.allclose(found, expected, atol=3e-5)


def test_settings_go_to_from_pretrained(save):
    model = load_model(save("llama"), dtype=torch.bfloat16, device="cpu", attn_implementation="eager")
    assert model.hf.dtype == torch.bfloat16
    assert model.hf.config._attn_implementation == "eager"
    assert load_model(save("llama"), device_map={"": "meta"}).device.type == "meta"


def test_a_tokenizer_may_be_given_or_named(save, tokenizer_for):
    folder, other = save("llama"), save("gpt2")
    tokenizer = tokenizer_for("gpt2")
    assert load_model(folder, tokenizer=tokenizer).tokenizer is tokenizer
    assert load_model(folder, tokenizer=str(other)).tokenizer("a").input_ids == tokenizer("a").input_ids


def test_a_live_model_is_used_as_it_is_and_never_changed(build, sentences):
    hf, tokenizer = build("gpt2")
    hf.train()
    hf.transformer.h[1].eval()
    modes = [module.training for module in hf.modules()]
    weights, config = copy.deepcopy(hf.state_dict()), copy.deepcopy(hf.config.to_dict())
    settings = copy.deepcopy(tokenizer.init_kwargs)
    model = load_model(hf, tokenizer=tokenizer)
    capture(model, sentences)
    assert model.hf is hf
    assert [module.training for module in hf.modules()] == modes
    assert all(torch.equal(weights[name], value) for name, value in hf.state_dict().items())
    assert hf.config.to_dict() == config
    assert tokenizer.init_kwargs == settings
    assert tokenizer.pad_token is None


def test_a_live_model_needs_its_tokenizer(build):
    with pytest.raises(ValueError, match="a loaded model needs its tokenizer"):
        load_model(build("gpt2")[0])


@pytest.mark.parametrize("setting", [{"dtype": torch.float16}, {"device": "cpu"}, {"revision": "main"}])
def test_a_live_model_takes_no_settings(build, setting):
    hf, tokenizer = build("gpt2")
    with pytest.raises(ValueError, match=f"{next(iter(setting))} cannot be set for a model that is loaded"):
        load_model(hf, tokenizer=tokenizer, **setting)


def test_something_else_is_a_type_error():
    with pytest.raises(TypeError, match="cannot load a model from Linear: expected 'tinyworld'"):
        load_model(torch.nn.Linear(2, 2))


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="backend must be 'torch', 'bridge' or 'vllm', got 'tl'"):
        load_model("tinyworld", backend="tl")


def test_device_and_device_map_exclude_each_other(save):
    with pytest.raises(ValueError, match="device= and device_map= exclude each other"):
        load_model(save("llama"), device="cpu", device_map="auto")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(
        OSError, match=r"there is no folder '.*missing': check the path, or use 'tinyworld'"
    ) as error:
        load_model(tmp_path / "missing")
    assert "\n" not in str(error.value)


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(OSError, match=r"the folder '.*' holds no model that can be loaded") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_with_broken_weights_is_one_sentence(save):
    folder = save("llama")
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(OSError, match=r"holds no model .*weights are broken, perhaps not wholly copied"):
        load_model(folder)


def test_a_folder_whose_config_is_another_models_is_one_sentence(save):
    folder = save("llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": config["vocab_size"] + 8}))
    with pytest.raises(OSError, match=r"holds no model .*other shapes than config.json says") as error:
        load_model(folder)
    assert "\n" not in str(error.value)


def test_a_model_that_cannot_be_fetched_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    message = r"there is no model 'no-such/model': .*check the name and the network, or use 'tinyworld'"
    with pytest.raises(OSError, match=message) as error:
        load_model("no-such/model", cache_dir=tmp_path)
    assert "\n" not in str(error.value)


def test_without_a_network_the_hub_is_asked_for_once(monkeypatch, tmp_path):
    asked = []

    def no_network(host, *rest):
        asked.append(host)
        raise socket.gaierror("Name or service not known")

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    with pytest.raises(OSError, match="there is no model 'no-such/model'"):
        load_model("no-such/model", cache_dir=tmp_path)
    assert asked == ["huggingface.co"]


def test_the_embedded_model_needs_no_network(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    model = load_model()
    assert model.name == "tinyworld"
    assert model.hf.dtype == torch.float32
    assert model.generates
    assert capture(model, ["the dog"])["resid_post.0"].shape == (1, model.d_model)
