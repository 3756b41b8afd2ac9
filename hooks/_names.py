"""Where a model keeps its sites, read from TransformerLens's architecture adapters."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

Reads = Literal["input", "output"]

_HOOKS: dict[str, Reads] = {"hook_in": "input", "hook_out": "output"}
_ALIASES = {
    "resid_pre": "hook_resid_pre",
    "z": "attn.hook_z",
    "attn_out": "hook_attn_out",
    "resid_mid": "hook_resid_mid",
    "mlp_post": "mlp.hook_post",
    "mlp_out": "hook_mlp_out",
    "resid_post": "hook_resid_post",
}


@dataclass(frozen=True)
class Place:
    """The input or the output of the module at ``path``, times ``scale``."""

    path: str
    reads: Reads
    scale: float = 1.0


@dataclass(frozen=True)
class Names:
    """The path of the list of blocks, and the place of each kind of site below a block.

    ``blocks`` is empty for a model whose blocks are not one list. ``embed`` is seen from the model.
    """

    blocks: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    embed: Place | None = None


def read_names(hf: nn.Module) -> Names:
    """The names of a Hugging Face model's sites.

    A model without a TransformerLens adapter has resid_pre, resid_post and embed, if its blocks are the only
    list of as many modules as it has layers.
    """
    adapter = adapter_for(hf)
    blocks = None if adapter is None else adapter.component_mapping.get("blocks")
    path = None if blocks is None else fitted_path(hf, blocks.name)
    if adapter is None or path is None:
        return _names_by_shape(hf)
    return Names(path, places_in(blocks), _embed(hf, adapter.component_mapping))


def adapter_for(hf: Any) -> Any:
    """TransformerLens's adapter for a model's class, or for its family; None where there is neither."""
    with _undisturbed():
        from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
        from transformer_lens.model_bridge.sources import build_bridge_config_from_hf
        from transformer_lens.model_bridge.sources.transformers import determine_architecture_from_hf_config
    config = copy.deepcopy(hf.config)
    config.architectures = [type(hf).__name__, *_language_models(config.model_type)]
    try:
        architecture = determine_architecture_from_hf_config(config)  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    settings = build_bridge_config_from_hf(config, architecture, hf.name_or_path or "model", hf.dtype)
    return ArchitectureAdapterFactory.select_architecture_adapter(settings)


def _language_models(family: str) -> list[str]:
    """The classes with a language model's head in a family, whose body another class shares."""
    from transformers.models.auto import modeling_auto

    tables = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )
    return [table[family] for table in tables if isinstance(table.get(family), str)]


def fitted_path(hf: Any, path: str) -> str | None:
    """A module path of the language model's class as this class has it; None if it has no such module.

    A body without a head lacks the first part ("transformer.h" is "h"), a class with another head has it.
    """
    without_head = path.partition(".")[2]
    with_body = f"{getattr(hf, 'base_model_prefix', '')}.{path}"
    return next((p for p in (path, without_head, with_body) if p and module_at(hf, p) is not None), None)


def module_at(root: nn.Module, path: str) -> nn.Module | None:
    """The module at a dotted path, or None; the empty path is the root itself."""
    found: Any = root
    for part in path.split(".") if path else ():
        found = getattr(found, part, None)
        if not isinstance(found, nn.Module):
            return None
    module: nn.Module = found
    return module


def places_in(blocks: Any) -> dict[str, Place]:
    """The place of each kind of site in the blocks that an adapter describes."""
    places = {kind: _resolve(blocks, alias, "") for kind, alias in _ALIASES.items()}
    for kind in ("attn_out", "mlp_out"):
        places[kind] = places[kind] or _scaled(blocks, kind)
    found = {kind: place for kind, place in places.items() if place is not None}
    if "mlp_post" in found and found["mlp_post"].reads == "output":
        del found["mlp_post"]  # a mixture of experts has no one hidden layer: there it names the output
    return found


def _resolve(component: Any, name: str, path: str) -> Place | None:
    """Follow TransformerLens's aliases down to the input or output of a module."""
    head, _, rest = name.partition(".")
    if rest:
        below = (component.submodules or {}).get(head)
        return None if below is None else _resolve(below, rest, _join(path, below.name))
    if head in _HOOKS:
        return Place(path, _HOOKS[head])
    alias = (component.hook_aliases or {}).get(head)
    return None if alias is None else _first(component, alias, path)


def _first(component: Any, aliases: str | Sequence[str], path: str) -> Place | None:
    listed = [aliases] if isinstance(aliases, str) else aliases
    return next((place for alias in listed if (place := _resolve(component, alias, path))), None)


def _scaled(blocks: Any, kind: str) -> Place | None:
    """Granite multiplies what a sublayer gives before it is added to the residual stream."""
    scale = getattr(blocks, "residual_contribution_scale", None)
    part = getattr(blocks, f"scaled_{kind.removesuffix('_out')}_submodule", None)
    below = (blocks.submodules or {}).get(part)
    return None if scale is None or below is None else Place(below.name, "output", scale)


def _embed(hf: nn.Module, components: Mapping[str, Any]) -> Place | None:
    from transformer_lens.model_bridge.bridge import BridgeCore

    for alias in BridgeCore.hook_aliases["hook_embed"]:
        name, _, hook = alias.partition(".")
        if name in components and (path := fitted_path(hf, components[name].name)):
            return Place(path, _HOOKS[hook])
    return None


def _names_by_shape(hf: Any) -> Names:
    n_layers = getattr(hf.config.get_text_config(), "num_hidden_layers", None)
    lists = [
        path
        for path, module in hf.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    if len(lists) != 1:
        return Names()
    embedding = hf.get_input_embeddings()
    path = next((path for path, module in hf.named_modules() if module is embedding), None)
    places = {"resid_pre": Place("", "input"), "resid_post": Place("", "output")}
    return Names(lists[0], places, None if path is None else Place(path, "output"))


def _join(path: str, name: str | None) -> str:
    return ".".join(part for part in (path, name) if part)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the log level and the warning filters, which importing transformer_lens changes."""
    logger = logging.getLogger("transformers")
    level = logger.level
    try:
        with warnings.catch_warnings():
            yield
    finally:
        logger.setLevel(level)
