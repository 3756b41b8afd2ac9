"""Weights that accelerate keeps in main memory or on disk while their module does not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def is_offloaded(module: nn.Module) -> bool:
    """Whether the weights of a module are fetched whenever it runs."""
    hook = getattr(module, "_hf_hook", None)
    return bool(getattr(hook, "offload", False))


def device_of(module: nn.Module) -> torch.device:
    """Where a module computes, wherever its weights are meanwhile."""
    hook: Any = getattr(module, "_hf_hook", None)
    if is_offloaded(module) and hook.execution_device is not None:
        return torch.device(hook.execution_device)
    return next(module.parameters()).device


@contextmanager
def fetched(module: nn.Module) -> Iterator[None]:
    """Within the context the weights of the module itself, not of those below it, can be read."""
    if not is_offloaded(module):
        yield
        return
    from accelerate.utils import align_module_device  # type: ignore[import-untyped]

    with align_module_device(module):
        yield


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters and lasting buffers on the CPU, those that are offloaded too."""
    return {name: _copied(model, name, tensor) for name, tensor in model.state_dict().items()}


def _copied(model: nn.Module, name: str, tensor: Tensor) -> Tensor:
    owner = model.get_submodule(name.rpartition(".")[0])
    with fetched(owner):
        now = getattr(owner, name.rpartition(".")[2]) if tensor.is_meta else tensor
        copy: Tensor = now.detach().to("cpu", copy=True)
    return copy
