"""One module of another checkpoint."""

from __future__ import annotations

import copy
import difflib
from typing import TypeVar, overload

from torch import nn

from conceptscope.hooks import HookedModel

_Module = TypeVar("_Module", bound=nn.Module)


@overload
def patch_module(early: HookedModel, late: HookedModel, name: str) -> HookedModel: ...


@overload
def patch_module(early: _Module, late: _Module, name: str) -> _Module: ...


def patch_module(
    early: HookedModel | nn.Module, late: HookedModel | nn.Module, name: str
) -> HookedModel | nn.Module:
    """A copy of a checkpoint in which one module is another checkpoint's; neither of the two is changed.

    The late embedding in the early model tells whether the rest of the early model was able already; the
    early embedding in the late model, with the arguments exchanged, whether prompts failed by it.

    early and late: HookedModels, or plain PyTorch modules.
    name: the module's path, such as "model.embed_tokens". Weights that it shares with another module, as an
        embedding does with a tied unembedding, are exchanged in this one alone.

    Raises:
        KeyError: no module of that name.
        TypeError: two models of different kinds.
        ValueError: modules of different shapes, an empty name, or a HookedModel with a bridge.

    Source: Park et al., arXiv 2406.19370, section 4.3.

    >>> import conceptscope as cs
    >>> first, last = (cs.checkpoints("tinyworld").load(step) for step in (0, 3906))
    >>> cs.patch_module(first, last, "model.embed_tokens").name
    'tinyworld@step00000 with model.embed_tokens of tinyworld@step03906'
    """
    if type(early) is not type(late):
        raise TypeError(
            f"two checkpoints must be of one kind, got {type(early).__name__} and {type(late).__name__}"
        )
    if isinstance(early, nn.Module) or isinstance(late, nn.Module):
        return _exchanged(early, late, name)  # type: ignore[type-var, arg-type]
    for model in (early, late):
        if model.backend != "torch":
            raise ValueError(f"{model.name} is on a bridge: load it with backend='torch' to patch it")
    hf = _exchanged(early.hf, late.hf, name)
    return HookedModel(hf, early.tokenizer, name=f"{early.name} with {name} of {late.name}")


def _exchanged(early: _Module, late: nn.Module, name: str) -> _Module:
    ours, theirs = (_module(model, name) for model in (early, late))
    shapes = [{key: tuple(t.shape) for key, t in module.state_dict().items()} for module in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{name} has parameters of other shapes in the two models, {shapes[0]} and {shapes[1]}: "
            "give checkpoints of one run"
        )
    made = copy.deepcopy(early)
    made.set_submodule(name, copy.deepcopy(theirs))
    return made


def _module(model: nn.Module, name: str) -> nn.Module:
    if not name:
        raise ValueError("the name is empty, which means the whole model: name a part of it")
    modules = dict(model.named_modules())
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        top = ", ".join(child for child, _ in model.named_children())
        raise KeyError(f"{type(model).__name__} has no module {name!r}: {hint}it is made of {top}")
    found: nn.Module = modules[name]
    return found
