"""A Hugging Face model with some of its parameters replaced."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from conceptscope.hooks._bake_fold import Folded
from conceptscope.hooks._bake_layout import Layout
from conceptscope.hooks._load import silence
from conceptscope.hooks._offloaded import is_offloaded, whole_state

_NOT_OF_LLAMA = ("model_type", "sliding_window", "use_sliding_window", "max_window_layers", "layer_types")


def check_weights(hf: Any) -> None:
    """Refuse weights that cannot be read and changed one by one.

    Raises:
        ValueError: weights that are quantised or missing, or others than those of the class.
    """
    readable = all(map(_is_readable, hf.modules()))
    if not readable or hf.state_dict().keys() != _expected(type(hf), hf.config).keys():
        raise ValueError(
            f"the weights are not those of a plain {type(hf).__name__} in memory: merge adapters into it, "
            "and load it without quantisation"
        )


def _is_readable(module: nn.Module) -> bool:
    """Whether its weights are plain numbers in memory, or where accelerate fetches them from."""
    return all(
        weight.is_floating_point() and (is_offloaded(module) or not weight.is_meta)
        for weight in module.parameters(recurse=False)
    )


def rebuilt(hf: Any, layout: Layout, folded: Folded) -> transformers.PreTrainedModel:
    """A model of its own with the folded parameters, and the original's others, in the same dtype and place.

    One that is spread over devices is put together on the CPU.

    It is of the same class, or Llama's where only that has the biases that are needed; an embedding that
    was changed is no longer tied to the unembedding.

    Raises:
        ValueError: biases that only Llama has, and a sliding window or a head that it does not have.
    """
    state = whole_state(hf)
    changed = {name: tensor.to(hf.dtype) for name, tensor in folded.parameters.items()}
    model_class, config = type(hf), copy.deepcopy(hf.config)
    if folded.bias_settings and layout.as_llama:
        model_class, config = _as_llama(hf)
    for setting in folded.bias_settings:
        setattr(config, setting, True)
    if _differ(state, changed, _tied_names(hf)):
        config.tie_word_embeddings = False
    state = _with_zero_biases(state | changed, model_class, config)
    with silence():
        model = model_class.from_pretrained(
            None,
            config=config,
            state_dict=state,
            dtype=hf.dtype,
            attn_implementation=hf.config._attn_implementation,
        )
    if hf.can_generate():
        model.generation_config = copy.deepcopy(hf.generation_config)
    model.name_or_path = model.config.name_or_path = hf.name_or_path
    places = {parameter.device for parameter in hf.parameters()}
    together = len(places) == 1 and not any(map(is_offloaded, hf.modules()))
    placed: transformers.PreTrainedModel = model.eval().to(places.pop() if together else "cpu")
    return placed


def _as_llama(hf: Any) -> tuple[Any, transformers.PreTrainedConfig]:
    """Llama's class and config for a model whose blocks differ from Llama's in their biases only."""
    window, kinds = hf.config.sliding_window, getattr(hf.config, "layer_types", None) or ["sliding_attention"]
    if window and window < hf.config.max_position_embeddings and "sliding_attention" in kinds:
        raise ValueError(
            f"{type(hf).__name__} has no bias where a constant is to be added, and with its sliding window "
            f"of {window} tokens it cannot be written as Llama: load it with sliding_window=None if your "
            "texts are no longer than that"
        )
    family = type(hf.base_model).__name__.removesuffix("Model")
    model_class = getattr(transformers, type(hf).__name__.replace(family, "Llama"), None)
    if model_class is None:
        raise ValueError(f"{type(hf).__name__} has no bias where a constant is to be added, nor a Llama form")
    told = {name: value for name, value in hf.config.to_dict().items() if name not in _NOT_OF_LLAMA}
    config = transformers.LlamaConfig(**told)
    config.architectures = [model_class.__name__]
    config.attention_bias = any(name.endswith("q_proj.bias") for name, _ in hf.named_parameters())
    return model_class, config


def _tied_names(hf: Any) -> list[str]:
    """The names of the token embedding where the unembedding is the same tensor."""
    embedding, unembedding = hf.get_input_embeddings(), hf.get_output_embeddings()
    if unembedding is None:
        return []
    apart = is_offloaded(embedding) or is_offloaded(unembedding)  # then only the config tells
    if not (hf.config.tie_word_embeddings if apart else unembedding.weight is embedding.weight):
        return []
    return [f"{path}.weight" for path, module in hf.named_modules() if module is embedding]


def _differ(state: Mapping[str, Tensor], changed: Mapping[str, Tensor], names: Sequence[str]) -> bool:
    return any(name in changed and not torch.equal(state[name], changed[name]) for name in names)


def _with_zero_biases(state: dict[str, Tensor], model_class: Any, config: Any) -> dict[str, Tensor]:
    """The parameters, with zeros for those that only the new model has, which are biases."""
    missing = ((name, like) for name, like in _expected(model_class, config).items() if name not in state)
    return state | {name: torch.zeros(like.shape) for name, like in missing}


def _expected(model_class: Any, config: Any) -> dict[str, Tensor]:
    """What a model of this class and config has, without the numbers."""
    with torch.device("meta"):
        state: dict[str, Tensor] = model_class(copy.deepcopy(config)).state_dict()
    return state
