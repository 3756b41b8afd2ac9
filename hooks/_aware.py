"""Hooks that know which tokens they see, however the model is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

from torch import nn
from torch.nn.modules import module as torch_module

Hook = TypeVar("Hook", bound=Callable[..., Any])

_AWARE: WeakSet[Callable[..., Any]] = WeakSet()


def aware(hook: Hook) -> Hook:
    """Note that a hook asks `now_running` what it sees, or does not care: a prefix may run by itself."""
    _AWARE.add(hook)
    return hook


def is_aware(hook: Callable[..., Any]) -> bool:
    """Whether a hook was noted, or is one of those that transformers leaves behind."""
    return hook in _AWARE or is_left_behind(hook)


def is_left_behind(hook: Callable[..., Any]) -> bool:
    """Whether transformers left a hook on the model, as it does to gather hidden states."""
    return str(getattr(hook, "__module__", "")).startswith("transformers.")


def only_aware_hooks(root: nn.Module) -> bool:
    """Whether no other hook would run in a forward pass."""
    return all(map(is_aware, [*hooks_on_all(), *hooks_of(root)]))


def hooks_on_all() -> list[Callable[..., Any]]:
    """The hooks that run in the forward passes of all modules there are."""
    return [*torch_module._global_forward_hooks.values(), *torch_module._global_forward_pre_hooks.values()]


def hooks_of(root: nn.Module) -> list[Callable[..., Any]]:
    """The hooks on a module and on those inside it that run in a forward pass."""
    found: list[Callable[..., Any]] = []
    for module in root.modules():
        found += [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return found
