"""A model that vLLM runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._names import Place, places_in
from conceptscope.hooks._site import Site

_COMPONENTS = {"attn_out": "attn", "mlp_out": "mlp"}
_POINTS = {"resid_post": "hook_out", "attn_out": "attn.hook_out", "mlp_out": "mlp.hook_out"}


class VllmModel(HookedModel):
    """A model that vLLM runs, for `capture` alone; not run on a real vLLM yet.

    Made by ``load_model(source, backend="vllm")``. Its sites are resid_post, and attn_out and mlp_out where
    these are what the attention and the MLP give (in Gemma 2 a norm comes after them). Texts are encoded by
    ``tokenizer``, never by vLLM. ``hf`` is the config and the dtype, without the weights, so that all that
    runs the model otherwise is refused.

    batched: whether vLLM takes several texts at once.
    """

    def __init__(
        self,
        bridge: Any,
        tokenizer: Any,
        *,
        name: str,
        config: Any,
        dtype: torch.dtype,
        batched: bool,
    ) -> None:
        super().__init__(_Elsewhere(name, config, dtype), tokenizer, name=name, bridge=bridge)
        self.batched = batched
        self._kinds = _kinds(bridge.adapter.component_mapping["blocks"])

    @property
    def backend(self) -> str:
        """ "vllm"."""
        return "vllm"

    @property
    def device(self) -> torch.device:
        """Where activations arrive."""
        return torch.device("cpu")

    def tap(self, site: Site | str) -> NoReturn:
        """Not here: the engine's modules cannot be hooked.

        Raises:
            ValueError: always.
        """
        raise ValueError(_refusal(self.name))

    def run(self, prompts: Sequence[Sequence[int]], sites: Sequence[Site]) -> dict[Site, Tensor]:
        """The activations [prompt, position, d] at some sites, padded on the right.

        Raises:
            ValueError: a prompt longer than the engine takes.
        """
        names = {site: f"blocks.{site.layer}.{_POINTS[site.kind]}" for site in sites}
        _, cache = self._bridge.run_with_cache(
            [list(ids) for ids in prompts],
            names_filter=list(names.values()),
            return_cache_object=False,
            return_type=None,
            return_logits=False,
        )
        return {site: cache[name] for site, name in names.items()}

    def close(self) -> None:
        """Stop the engine, which frees its GPU memory."""
        self._bridge.close()

    def __repr__(self) -> str:
        shape = f"{self.n_layers} layers, d_model {self.d_model}"
        return f"VllmModel({self.name!r}, {shape}, {', '.join(self._kinds)} on vllm)"

    def _has(self, kind: str, layer: int | None) -> bool:
        return kind in self._kinds

    def _module_tap(self, path: str) -> NoReturn:
        raise ValueError(self._no_such_kind(path))

    def _no_such_kind(self, kind: str) -> str:
        return f"vLLM does not give {kind} of {self.name}: {self._what_there_is()}"

    def _what_there_is(self) -> str:
        return f"it gives {' and '.join(self._kinds)}, and backend='torch' all sites"


class _Elsewhere:
    """What is known of a Hugging Face model that another engine runs."""

    def __init__(self, name: str, config: Any, dtype: torch.dtype) -> None:
        self._name, self.config, self.dtype = name, config, dtype

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(_refusal(self._name))

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ValueError(_refusal(self._name))


def _refusal(name: str) -> str:
    return f"{name} runs on vLLM, which is for capture only: load it with backend='torch' for anything else"


def _kinds(blocks: Any) -> tuple[str, ...]:
    """The kinds of site that vLLM's hook points give, which are on the modules of the same names."""
    places = places_in(blocks)
    same = [
        kind
        for kind, component in _COMPONENTS.items()
        if component in blocks.submodules
        and places.get(kind) == Place(blocks.submodules[component].name, "output")
    ]
    return (*same, "resid_post")
