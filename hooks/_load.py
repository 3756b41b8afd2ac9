"""Loading a model: embedded, from the hub, from a folder, or one that is in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
import transformers

from conceptscope.hooks._bridge import is_bridge, make_bridge
from conceptscope.hooks._dtypes import read_dtype
from conceptscope.hooks._hub import hub_is_out_of_reach
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._not_loaded import model_told, tokenizer_told
from conceptscope.hooks._vllm import boot_vllm
from conceptscope.hooks._whole_weights import whole_weights

_EMBEDDED = "tinyworld"
_SHARED_SETTINGS = (
    "token",
    "trust_remote_code",
    "cache_dir",
    "local_files_only",
    "subfolder",
    "force_download",
)


def load_model(
    source: str | Path | Any = _EMBEDDED,
    *,
    tokenizer: Any = None,
    backend: Literal["torch", "bridge", "vllm"] = "torch",
    device: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    revision: str | None = None,
    device_map: Any = None,
    **hf_kwargs: Any,
) -> HookedModel:
    """A pretrained transformer with named sites, of the class that its config names.

    source: "tinyworld" (embedded), a name on the Hugging Face hub, a folder, a loaded Hugging Face model
        (with tokenizer=), or a TransformerBridge.
    tokenizer: a tokenizer, or where to load one from; by default the source's own.
    backend: "torch" hooks the untouched model; "bridge" wraps it in a TransformerBridge, which has q, k and v
        too. A loaded model is copied for that, never changed. "vllm" lets vLLM run it, for `capture` at
        resid_post, attn_out and mlp_out; hf_kwargs are then for TransformerLens's ``RemoteBridge.boot_vllm``
        and for vLLM (``max_model_len=``, ``tensor_parallel_size=``). It was not run on a real vLLM yet, but
        on an engine that stands in for it.
    dtype: such as "bf16", "auto" (the files' own), or one of torch's.
    device, revision, device_map, hf_kwargs: for ``from_pretrained``. device_map ("auto", or a dict of
        module paths) spreads a model that is larger than one device over several, main memory and disk
        (``offload_folder=``); each site's activations then lie where its module computes.

    Raises:
        ImportError: backend="vllm" without vLLM.
        OSError: there is no such model, here or on the hub; or its files are broken, or lack tensors that the
            model has. A head that the weights lack is left out, with a warning.
        TypeError: source is none of these.
        ValueError: a setting that does not go with the source, a device that is not there, or a loaded model
            without a tokenizer.

    >>> import conceptscope as cs
    >>> cs.load_model("tinyworld").sites()[0]
    Site('resid_post.0')
    """
    if backend not in ("torch", "bridge", "vllm"):
        raise ValueError(f"backend must be 'torch', 'bridge' or 'vllm', got {backend!r}")
    if backend == "vllm":
        _refuse_on_vllm(source, device=device, revision=revision, device_map=device_map)
        return _on_vllm(str(source), tokenizer, {"dtype": dtype, **hf_kwargs})
    if isinstance(source, str | Path):
        settings = {"dtype": dtype, "revision": revision, "device_map": device_map, **hf_kwargs}
        given = {name: value for name, value in settings.items() if value is not None}
        return _from_pretrained(str(source), tokenizer, backend, device, given)
    _refuse_settings(device=device, dtype=dtype, revision=revision, device_map=device_map, **hf_kwargs)
    if is_bridge(source):
        name = str(getattr(source.cfg, "model_name", "") or type(source.original_model).__name__)
        chosen = source.tokenizer if tokenizer is None else _tokenizer(tokenizer, {})
        return HookedModel(source.original_model, chosen, name=name, bridge=source)
    if isinstance(source, transformers.PreTrainedModel):
        return _from_loaded(source, tokenizer, backend)
    raise TypeError(
        f"cannot load a model from {type(source).__name__}: expected 'tinyworld', a name on the Hugging Face "
        "hub, a folder, a transformers.PreTrainedModel or a TransformerBridge"
    )


def _on_vllm(source: str, tokenizer: Any, settings: dict[str, Any]) -> HookedModel:
    given = {name: value for name, value in settings.items() if value is not None}
    path, given = _where(source, given)
    with model_told(source):
        chosen = _tokenizer(path if tokenizer is None else tokenizer, {})
    return boot_vllm(path, chosen, source, given.pop("dtype", None), given)


def _refuse_on_vllm(source: Any, **settings: Any) -> None:
    if not isinstance(source, str | Path):
        raise ValueError(
            f"vLLM loads a model by itself, so that backend='vllm' takes a name on the Hugging Face hub or a "
            f"folder, got {type(source).__name__}"
        )
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} cannot be set with backend='vllm': vLLM places the model itself, "
            "and another revision must be a folder"
        )


def _from_loaded(hf: transformers.PreTrainedModel, tokenizer: Any, backend: str) -> HookedModel:
    if tokenizer is None:
        raise ValueError(
            "a loaded model needs its tokenizer: "
            "load_model(model, tokenizer=AutoTokenizer.from_pretrained(...))"
        )
    if any("_original_component" in name for name, _ in hf.named_modules()):
        raise ValueError(
            "this model is inside a TransformerBridge already: give load_model the bridge itself"
        )
    name = hf.name_or_path or type(hf).__name__
    return _hooked(copy.deepcopy(hf) if backend == "bridge" else hf, _tokenizer(tokenizer, {}), name, backend)


def _from_pretrained(
    source: str, tokenizer: Any, backend: str, device: str | torch.device | None, settings: dict[str, Any]
) -> HookedModel:
    if device is not None and "device_map" in settings:
        raise ValueError("device= and device_map= exclude each other: give one of them")
    _check_device(device)
    if "dtype" in settings:
        settings = settings | {"dtype": _dtype(settings["dtype"])}
    path, settings = _where(source, settings)
    if not Path(path).is_dir() and hub_is_out_of_reach():
        settings = {"local_files_only": True} | settings
    where = {k: v for k, v in settings.items() if k in (*_SHARED_SETTINGS, "revision")}
    with model_told(source, settings.get("device_map")):
        config = transformers.AutoConfig.from_pretrained(path, **where)
        with silence() if Path(path).is_dir() else nullcontext():  # a download may show its bar
            n_layers = getattr(config.get_text_config(), "num_hidden_layers", None)
            hf = whole_weights(_model_class(config), path, settings, n_layers)
    chosen = _tokenizer(path if tokenizer is None else tokenizer, where)
    return _hooked(hf.eval() if device is None else hf.to(device).eval(), chosen, source, backend)


def _where(source: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path to load from; the embedded weights are small, and are run in float32."""
    if source != _EMBEDDED:
        return str(Path(source).expanduser()) if source.startswith("~") else source, settings
    from conceptscope.worlds import tinyworld

    return str(tinyworld.weights_path()), {"dtype": torch.float32} | settings


@contextmanager
def silence() -> Iterator[None]:
    """Keep transformers from showing how the weights are read."""
    was_shown = transformers.logging.is_progress_bar_enabled()
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if was_shown:
            transformers.logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _model_class(config: Any) -> Any:
    """The class that the config names; without a name, or with one from the hub, transformers chooses."""
    named = (getattr(config, "architectures", None) or [""])[0]
    known = getattr(transformers, named, None) if named else None
    if known is not None:
        return known
    remote = getattr(config, "auto_map", None) or {}
    return transformers.AutoModelForCausalLM if "AutoModelForCausalLM" in remote else transformers.AutoModel


def _dtype(given: Any) -> Any:
    """What transformers calls a dtype: "auto" and one for each part of a model are left as they are."""
    return given if given == "auto" or isinstance(given, Mapping | torch.dtype) else read_dtype(given)


def _check_device(device: str | torch.device | None) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={str(device)!r} cannot be used here ({str(error).split('. ')[0]}): 'cpu' always can"
        ) from error


def _tokenizer(given: Any, where: dict[str, Any]) -> Any:
    if not isinstance(given, str | Path):
        return given
    with tokenizer_told(str(given)):
        return transformers.AutoTokenizer.from_pretrained(given, **where)


def _hooked(hf: Any, tokenizer: Any, name: str, backend: str) -> HookedModel:
    bridge = make_bridge(hf, tokenizer, name) if backend == "bridge" else None
    return HookedModel(hf, tokenizer, name=name, bridge=bridge)


def _refuse_settings(**settings: Any) -> None:
    given = [name for name, value in settings.items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} cannot be set for a model that is loaded already: set it when loading, "
            "or move the model itself"
        )
