"""TransformerLens's bridge around a Hugging Face model."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Iterator
from typing import Any

from conceptscope.hooks._names import adapter_for, fitted_path


def make_bridge(hf: Any, tokenizer: Any, name: str) -> Any:
    """Wrap a model in a TransformerBridge, which changes the model in place.

    Attention becomes eager, so that patterns and scores can be seen. Components of the language model that
    the model's class lacks (a bare BertModel has no unembedding) are left out.

    Raises:
        ValueError: TransformerLens has no adapter for the model.
    """
    known = adapter_for(hf)
    if known is None:
        raise ValueError(
            f"TransformerLens has no adapter for {type(hf).__name__}, so backend='bridge' is not possible: "
            "use backend='torch'"
        )
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformer_lens.utilities.attn_implementation import force_eager_attention

    if hf.base_model is hf and hf.base_model_prefix:
        hf.__dict__[hf.base_model_prefix] = hf  # a bare body is looked for inside the class with a head
    with _reloaded(tokenizer) as copied:
        force_eager_attention(hf)
        return build_bridge_from_module(
            hf,
            known.cfg.architecture,
            hf_config=copy.deepcopy(hf.config),
            tokenizer=copied,
            model_name=name,
            post_adapter_hook=lambda adapter: _fit(adapter, hf),
        )


def is_bridge(model: Any) -> bool:
    """Whether this is a TransformerBridge, without importing TransformerLens to tell."""
    return any(base.__name__ == "TransformerBridge" for base in type(model).__mro__)


def _fit(adapter: Any, hf: Any) -> None:
    """Name the components as this class has them, and drop those that it lacks."""
    for key, component in list(adapter.component_mapping.items()):
        path = fitted_path(hf, component.name) if component.name else component.name
        if path is None:
            del adapter.component_mapping[key]
        else:
            component.name = path


@contextlib.contextmanager
def _reloaded(tokenizer: Any) -> Iterator[Any]:
    """A tokenizer for the bridge to change; it asks for one that can be loaded from somewhere."""
    if tokenizer is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        yield type(tokenizer).from_pretrained(folder)
