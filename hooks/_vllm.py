"""Loading a model into vLLM, through TransformerLens's RemoteBridge."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import torch
import transformers

from conceptscope.hooks._dtypes import read_dtype
from conceptscope.hooks._vllm_model import VllmModel


def boot_vllm(path: str, tokenizer: Any, name: str, dtype: Any, settings: dict[str, Any]) -> VllmModel:
    """A model on vLLM, run in batches unless the settings exclude that.

    settings: for TransformerLens's ``RemoteBridge.boot_vllm`` and, beyond it, for vLLM's ``LLM``.

    Raises:
        ImportError: vLLM is not installed.
    """
    try:
        importlib.import_module("vllm")
    except ImportError as error:
        raise ImportError(
            "backend='vllm' needs vLLM, which runs on Linux with a GPU: pip install 'transformer-lens[vllm]'"
        ) from error
    from transformer_lens.model_bridge import RemoteBridge

    config = transformers.AutoConfig.from_pretrained(path)
    chosen = _dtype(dtype, config)
    batched = bool(settings.setdefault("enable_batching", _may_batch(settings)))
    bridge = RemoteBridge.boot_vllm(path, tokenizer=copy.deepcopy(tokenizer), dtype=chosen, **settings)
    return VllmModel(bridge, tokenizer, name=name, config=config, dtype=chosen, batched=batched)


def _may_batch(settings: dict[str, Any]) -> bool:
    """Whether TransformerLens can read several texts at once under these settings."""
    parallel = ("tensor_parallel_size", "pipeline_parallel_size")
    edits = settings.get("enable_position_interventions", False)
    return not edits and all(settings.get(size, 1) == 1 for size in parallel)


def _dtype(given: Any, config: Any) -> torch.dtype:
    """The dtype that is asked for, or that of the checkpoint, as transformers would load it."""
    asked = None if given == "auto" else read_dtype(given)
    stored: torch.dtype = config.get_text_config().dtype or torch.float32
    return asked or stored
