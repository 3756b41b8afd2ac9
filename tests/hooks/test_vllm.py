"""TransformerLens's RemoteBridge, its driver, plugin and worker extension are the real ones here.

What stands in is the package ``vllm`` below them: an engine with the modules, the flat tokens and the calls
that they rely on in vLLM 0.20, around the modules of a tiny Hugging Face model.
"""

import importlib
import sys
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import pytest
import torch
import transformers

from conceptscope.hooks import capture, generate, intervene, load_model, next_token_logits, zero_ablate

SITES = ("attn_out.1", "mlp_out.0", "resid_post.0", "resid_post.-1")


class Worker:
    """vLLM's GPU worker: requests lie behind one another in one row of tokens."""

    def __init__(self, folder, dtype):
        self._folder, self._dtype = folder, getattr(torch, dtype)
        self.model_runner = SimpleNamespace(input_batch=SimpleNamespace(req_ids=[]), query_start_loc=None)

    def load_model(self):
        hf = transformers.AutoModelForCausalLM.from_pretrained(self._folder, dtype=self._dtype).eval()
        self.model_runner.model = _Model(hf, self.model_runner)

    @torch.inference_mode()
    def execute(self, requests):
        lengths = torch.tensor([0, *map(len, requests.values())])
        self.model_runner.input_batch.req_ids = list(requests)
        self.model_runner.query_start_loc = lengths.cumsum(0)
        ids = torch.tensor([token for prompt in requests.values() for token in prompt])
        positions = torch.cat([torch.arange(len(prompt)) for prompt in requests.values()])
        self.model_runner.model(ids, positions)


class _Attention(torch.nn.Module):
    def __init__(self, attention, rotary, runner):
        super().__init__()
        self.inner, self.rotary, self.runner = attention, rotary, runner

    def forward(self, positions, hidden):
        parts = []
        for start, end in pairwise(self.runner.query_start_loc.tolist()):
            part = hidden[None, start:end]
            at = self.rotary(part, positions[None, start:end])
            parts.append(self.inner(part, position_embeddings=at, attention_mask=None)[0][0])
        return torch.cat(parts)


class _Layer(torch.nn.Module):
    """A decoder layer as vLLM has it: what the MLP adds, and the stream that it is added to, apart."""

    def __init__(self, layer, rotary, runner):
        super().__init__()
        self.before, self.between, self.mlp = layer.input_layernorm, layer.post_attention_layernorm, layer.mlp
        self.self_attn = _Attention(layer.self_attn, rotary, runner)

    def forward(self, positions, hidden, residual):
        residual = hidden if residual is None else hidden + residual
        residual = residual + self.self_attn(positions, self.before(residual))
        return self.mlp(self.between(residual)), residual


class _Norm(torch.nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.weight, self.inner = norm.weight, norm

    def forward(self, hidden, residual):
        return self.inner(hidden + residual), residual


class _Model(torch.nn.Module):
    def __init__(self, hf, runner):
        super().__init__()
        self.model, self.lm_head = torch.nn.Module(), hf.lm_head
        self.model.embed_tokens, self.model.norm = hf.model.embed_tokens, _Norm(hf.model.norm)
        layers = [_Layer(layer, hf.model.rotary_emb, runner) for layer in hf.model.layers]
        self.model.layers = torch.nn.ModuleList(layers)
        self.logits_processor = SimpleNamespace(scale=1.0, soft_cap=None)

    def forward(self, ids, positions):
        hidden, residual = self.model.embed_tokens(ids), None
        for layer in self.model.layers:
            hidden, residual = layer(positions, hidden, residual)
        return self.model.norm(hidden, residual)


class LLM:
    """vLLM's engine, which answers requests under names, and in an order, of its own."""

    made: list = []  # noqa: RUF012

    def __init__(self, *, model, dtype, worker_extension_cls, max_num_batched_tokens, **settings):
        path, _, name = worker_extension_cls.rpartition(".")
        extension = getattr(importlib.import_module(path), name)
        self.settings, self.limit, self.asked = settings, max_num_batched_tokens, []
        self.worker = type("ExtendedWorker", (extension, Worker), {})(model, dtype)
        self.worker.load_model()
        config = transformers.AutoConfig.from_pretrained(model)
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(hf_config=config))
        LLM.made.append(self)

    def collective_rpc(self, method, args=()):
        return [getattr(self.worker, method)(*args)]

    def generate(self, prompts, sampling_params):
        assert sampling_params.max_tokens == 1
        named = {f"{n}-ab": list(p["prompt_token_ids"]) for n, p in enumerate(prompts)}
        assert sum(map(len, named.values())) <= self.limit
        self.asked += named.values()
        self.worker.execute(dict(reversed(named.items())))
        answer = SimpleNamespace(logprobs=None, token_ids=[0])
        return [SimpleNamespace(request_id=name.removesuffix("-ab"), outputs=[answer]) for name in named]


@pytest.fixture(scope="module", autouse=True)
def engine():
    """The stand-in, where `import vllm` finds it; TransformerLens patches its worker."""
    from transformer_lens.model_bridge.sources.vllm import plugin

    parts = {
        "vllm": {"LLM": LLM, "SamplingParams": lambda **settings: SimpleNamespace(**settings)},
        "vllm.inputs": {"TokensPrompt": dict},
        "vllm.v1": {},
        "vllm.v1.worker": {},
        "vllm.v1.worker.gpu_worker": {"Worker": Worker},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin, "_install_patched", False)
        patch.setattr(Worker, "load_model", Worker.load_model)
        patch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        patch.setenv("VLLM_DISABLE_COMPILE_CACHE", "1")
        for name, content in parts.items():
            module = ModuleType(name)
            module.__dict__.update(content, __path__=[])
            patch.setitem(sys.modules, name, module)
        yield


@pytest.fixture(scope="module")
def folder(save):
    return lambda name: save(name, sliding_window=None) if name == "mistral" else save(name)


@pytest.fixture(scope="module")
def models(folder):
    made = {}

    def both(name):
        if name not in made:
            path = folder(name)
            made[name] = load_model(path, backend="vllm"), load_model(path)
        return made[name]

    return both


@pytest.mark.architectures("llama", "qwen2", "qwen3", "mistral")
@pytest.mark.parametrize("position", ["last", "first", "mean", "all", -1])
def test_it_captures_what_the_torch_backend_captures(models, sentences, architecture, position):
    ours, plain = models(architecture)
    found, wanted = (capture(model, sentences, SITES, position=position) for model in (ours, plain))
    assert list(found) == list(wanted)
    assert found.source | {"model_name": ""} == wanted.source | {"model_name": ""}
    assert torch.equal(torch.as_tensor(found.example), torch.as_tensor(wanted.example))
    for site in wanted:
        assert torch.allclose(found[site], wanted[site], atol=1e-5)
        assert wanted[site].abs().max() > 0.1


def test_one_text_after_another_gives_the_same(folder, models, sentences):
    model = load_model(folder("llama"), backend="vllm", enable_batching=False)
    found = capture(model, sentences, SITES, position="all", batch_size=4)
    wanted = capture(models("llama")[1], sentences, SITES, position="all")
    assert all(torch.allclose(found[site], wanted[site], atol=1e-5) for site in wanted)
    assert not LLM.made[-1].settings.get("enforce_eager")


def test_the_engine_gets_the_tokens_of_the_untouched_tokenizer(folder, sentences):
    model = load_model(folder("llama"), backend="vllm", max_model_len=64)
    capture(model, sentences, "resid_post.0")
    engine = LLM.made[-1]
    assert sorted(engine.asked) == sorted(model.tokenizer(sentences)["input_ids"])
    assert engine.asked[0][0] == model.tokenizer.bos_token_id
    assert engine.settings["max_model_len"] == 64
    assert engine.settings["enforce_eager"]


def test_activations_are_of_the_checkpoints_dtype_and_cast_once(folder, sentences):
    path = folder("qwen2")
    for dtype in (torch.bfloat16, "bfloat16"):
        model = load_model(path, backend="vllm", dtype=dtype)
        wanted = capture(load_model(path, dtype=dtype), sentences, "resid_post")
        found = capture(model, sentences, "resid_post")
        cast = capture(model, sentences, "resid_post", dtype="fp32")
        for site in wanted:
            assert found[site].dtype == torch.bfloat16
            assert torch.allclose(found[site], wanted[site], rtol=0.05, atol=0.1)
            assert torch.equal(cast[site], found[site].float())
    assert (
        capture(load_model(path, backend="vllm"), ["Yes"], "resid_post.0")["resid_post.0"].dtype
        == torch.float32
    )


def test_a_store_is_filled_and_gone_on_with(models, sentences, tmp_path):
    ours, plain = models("llama")
    found = capture(ours, sentences, "resid_post", store=tmp_path / "store")
    again = capture(ours, sentences, "resid_post", store=tmp_path / "store")
    wanted = capture(plain, sentences, "resid_post")
    for site in wanted:
        assert torch.allclose(found[site], wanted[site], atol=1e-5)
        assert torch.equal(found[site], again[site])


def test_gemma_2_norms_what_its_modules_give_and_has_only_the_residual_stream(folder):
    model = load_model(folder("gemma2"), backend="vllm")
    assert model.kinds == ("resid_post",)
    assert "resid_post" in repr(model)


@pytest.mark.parametrize(
    "site", ["resid_pre.1", "resid_mid.0", "z.1", "q.0.1", "embed", "mlp_post.1", "model.norm"]
)
def test_other_sites_are_refused(models, site):
    with pytest.raises(
        ValueError,
        match=r"vLLM does not give .*: it gives attn_out and mlp_out and resid_post, and backend='torch' all",
    ):
        capture(models("llama")[0], ["Yes"], site)


def test_what_runs_the_model_otherwise_is_refused(models):
    model = models("llama")[0]
    said = "runs on vLLM, which is for capture only: load it with backend='torch'"
    for run in (
        lambda: generate(model, ["Yes"]),
        lambda: next_token_logits(model, ["Yes"]),
        lambda: intervene(model, zero_ablate("resid_post.1")).__enter__(),
        lambda: model.tap("resid_post.1"),
        lambda: model.body,
        lambda: model.hf(torch.tensor([[1]])),
    ):
        with pytest.raises(ValueError, match=said):
            run()


def test_too_long_a_text_is_refused_before_the_engine_sees_it(models):
    with pytest.raises(ValueError, match="tokens, and the model has positions for 128"):
        capture(models("llama")[0], ["Yes " * 200], "resid_post.0")


def test_settings_that_are_not_for_vllm_are_refused(folder, build):
    hf, tokenizer = build("llama")
    with pytest.raises(
        ValueError, match="takes a name on the Hugging Face hub or a folder, got LlamaForCausalLM"
    ):
        load_model(hf, tokenizer=tokenizer, backend="vllm")
    for given in ({"device": "cpu"}, {"device_map": "auto"}, {"revision": "main"}):
        with pytest.raises(ValueError, match=f"{next(iter(given))} cannot be set with backend='vllm'"):
            load_model(folder("llama"), backend="vllm", **given)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(OSError, match="there is no folder"):
        load_model(tmp_path / "nothing", backend="vllm")


def test_without_vllm_the_error_names_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ImportError, match=r"pip install 'transformer-lens\[vllm\]'"):
        load_model(folder("llama"), backend="vllm")


def test_a_closed_engine_has_no_hooks_left(folder):
    model = load_model(folder("llama"), backend="vllm")
    capture(model, ["Yes"], "resid_post.0")
    worker = LLM.made[-1].worker
    assert any(module._forward_hooks for module in worker.model_runner.model.modules())
    model.close()
    assert not any(module._forward_hooks for module in worker.model_runner.model.modules())
