"""A pretrained transformer with named sites."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conceptscope.hooks._names import Names, module_at, read_names
from conceptscope.hooks._offloaded import device_of, fetched
from conceptscope.hooks._site import KINDS, Site
from conceptscope.hooks._taps import BridgeTap, ModuleTap, Tap

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_ON_BRIDGE_ONLY = ("q", "k", "v")
_LENS_NAMES = {
    "z": "attn.hook_z",
    "mlp_post": "mlp.hook_post",
    **{kind: f"attn.hook_{kind}" for kind in _ON_BRIDGE_ONLY},
}


def check_model(model: Any) -> None:
    """Refuse what `load_model` did not make.

    Raises:
        TypeError: something else, such as a name or a Hugging Face model.
    """
    if not isinstance(model, HookedModel):
        raise TypeError(
            f"expected a model as load_model gives it, got {type(model).__name__}: "
            "write load_model('tinyworld'), or load_model(model, tokenizer=tokenizer)"
        )


class HookedModel:
    """A pretrained transformer, untouched, with named sites where activations are read and changed.

    Made by `load_model`. ``hf`` is the Hugging Face model (inside the bridge, if there is one), ``tokenizer``
    its own tokenizer.

    Sites mean what they mean in TransformerLens. ``embed`` is the token embedding, after its norm where there
    is one (BERT, Bloom); elsewhere positions may still be added to it. ``z`` is the input of the attention's
    output projection, ``mlp_post`` that of the MLP's. In a post-norm block (BERT) ``attn_out`` is after the
    norm, and ``resid_mid`` is the second norm's input. ``q`` and ``k`` are not yet rotated by position.
    """

    def __init__(self, hf: Any, tokenizer: Any, *, name: str, bridge: Any = None) -> None:
        self.hf = hf
        self.tokenizer = tokenizer
        self.name = name
        self._bridge = bridge
        self._points: dict[str, Any] = {} if bridge is None else bridge.hook_dict
        self._names = read_names(hf) if bridge is None else Names()
        self._found: dict[str, list[int | None]] = {}

    @property
    def backend(self) -> str:
        """ "torch" for plain hooks, "bridge" for TransformerLens."""
        return "torch" if self._bridge is None else "bridge"

    @property
    def bridge(self) -> TransformerBridge:
        """The TransformerBridge, whose own API has attention patterns and scores.

        Raises:
            AttributeError: the model was loaded with backend="torch".
        """
        if self._bridge is None:
            raise AttributeError(f"{self.name} has no bridge: load it with load_model(..., backend='bridge')")
        bridge: TransformerBridge = self._bridge
        return bridge

    @functools.cached_property
    def n_layers(self) -> int:
        """The number of blocks."""
        if self._bridge is not None:
            return int(self._bridge.cfg.n_layers)
        if self._names.blocks:
            return len(self._blocks())
        return int(getattr(self._config, "num_hidden_layers", 0))

    @property
    def n_heads(self) -> int:
        """The number of attention heads in a block; 0 for a model without attention."""
        return int(getattr(self._config, "num_attention_heads", None) or 0)

    @property
    def d_model(self) -> int:
        """The width of the residual stream."""
        return int(self._config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the model takes its inputs: with a device_map, where its embedding computes."""
        return device_of(self.hf.get_input_embeddings())

    @property
    def unembedding(self) -> Float[Tensor, "vocab d"] | None:
        """The matrix that makes logits of the final activations; None for a model without one."""
        head = self.hf.get_output_embeddings()
        if head is None:
            return None
        with fetched(head):
            weight: Tensor = head.weight.detach()
        return weight

    @property
    def generates(self) -> bool:
        """Whether the model continues a text; an encoder does not."""
        return bool(self.hf.can_generate())

    @property
    def body(self) -> nn.Module:
        """The model without its head."""
        body: nn.Module = self.hf.base_model
        return body

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of site that the model has, in the order of a forward pass."""
        return tuple(kind for kind in KINDS if self._layers(kind))

    def sites(self, kind: str = "resid_post") -> list[Site]:
        """All sites of one kind, by layer.

        Raises:
            ValueError: no such kind, or the model has no such sites.
        """
        if kind not in KINDS:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown kind of site {kind!r}: {hint}{self._what_there_is()}")
        layers = self._layers(kind)
        if not layers:
            raise ValueError(self._no_such_kind(kind))
        return [Site(kind, layer) for layer in layers]

    def resolve_sites(self, sites: str | Site | Iterable[str | Site]) -> list[Site]:
        """Sites that the model has, in the order given and each once; negative layers are resolved.

        sites: a kind ("resid_post": all its layers), a site ("resid_post.6", "z.6.3"), TransformerLens's name
        for one, a module path, or a list of these.

        Raises:
            TypeError: something that is no site.
            ValueError: a site that the model does not have; the message says what there is.
        """
        listed = list(sites) if isinstance(sites, Iterable) and not isinstance(sites, str) else [sites]
        if not listed:
            raise ValueError(f"no sites were given: {self._what_there_is()}")
        found: dict[Site, None] = {}
        for given in listed:
            if isinstance(given, str) and given in KINDS:
                found.update(dict.fromkeys(self.sites(given)))
            else:
                found[self._checked(Site.parse(given))] = None
        return list(found)

    def tap(self, site: Site | str) -> Tap:
        """Where the site's tensor can be read and replaced.

        The tensor is [batch, position, d], and [batch, position, head, d_head] for z, q, k and v: a site's
        head is for the caller to select.

        Raises:
            ValueError: a site that the model does not have.
        """
        checked = self._checked(Site.parse(site))
        if checked.is_module:
            return self._module_tap(checked.kind)
        n_heads = self.n_heads if checked.kind == "z" else 0
        if self._bridge is not None:
            return BridgeTap(self._points[_lens_name(checked.kind, checked.layer)], n_heads)
        if checked.layer is None:
            place, root, block = self._names.embed, self.hf, None
        else:
            place = self._names.places[checked.kind]
            root = block = self._blocks()[checked.layer]
        module = None if place is None else module_at(root, place.path)
        if place is None or module is None:
            raise ValueError(self._no_such_kind(checked.kind))
        return ModuleTap(module, place.reads, n_heads, place.scale, block, str(site))

    def str_tokens(self, text: str) -> list[str]:
        """The tokens of a text as strings, special tokens included.

        Raises:
            TypeError: several texts.
        """
        if not isinstance(text, str):
            raise TypeError(f"expected one text, got {type(text).__name__}: ask for each text by itself")
        ids = self.tokenizer(text)["input_ids"]
        return [self.tokenizer.decode([token], clean_up_tokenization_spaces=False) for token in ids]

    def accepts(self, argument: str) -> bool:
        """Whether the body's forward takes an argument of this name."""
        return argument in self._arguments

    def __repr__(self) -> str:
        return (
            f"HookedModel({self.name!r}, {type(self.hf).__name__}, {self.n_layers} layers, "
            f"{self.n_heads} heads, d_model {self.d_model}, {self.backend} on {self.device})"
        )

    @property
    def _config(self) -> Any:
        return self.hf.config.get_text_config()

    @functools.cached_property
    def _arguments(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.body.forward).parameters)

    def _blocks(self) -> Any:
        return module_at(self.hf, self._names.blocks)

    def _layers(self, kind: str) -> list[int | None]:
        """The layers that have this kind of site; [None] for an embed that is there."""
        if kind not in self._found:
            candidates: list[int | None] = [None] if kind == "embed" else list(range(self.n_layers))
            self._found[kind] = [layer for layer in candidates if self._has(kind, layer)]
        return self._found[kind]

    def _has(self, kind: str, layer: int | None) -> bool:
        if self._bridge is not None:
            point = self._points.get(_lens_name(kind, layer))
            return point is not None and not (
                kind == "mlp_post" and point is self._points.get(f"blocks.{layer}.mlp.hook_out")
            )
        if layer is None:
            return self._names.embed is not None
        place = self._names.places.get(kind)
        return place is not None and module_at(self._blocks()[layer], place.path) is not None

    def _checked(self, site: Site) -> Site:
        if site.is_module:
            self._module_tap(site.kind)
            return site
        layers = self._layers(site.kind)
        if not layers:
            raise ValueError(self._no_such_kind(site.kind))
        if site.layer is None:
            return site
        if not -self.n_layers <= site.layer < self.n_layers:
            raise ValueError(
                f"there is no site {str(site)!r}: {self.name} has the layers 0 to {self.n_layers - 1}"
            )
        resolved = Site(site.kind, site.layer % self.n_layers, site.head)
        if resolved.layer not in layers:
            raise ValueError(
                f"there is no site {str(site)!r}: {self.name} has {site.kind} at the layers "
                f"{', '.join(map(str, layers))}"
            )
        n_heads = self._n_heads_of(site.kind)
        if site.head is not None and not 0 <= site.head < n_heads:
            raise ValueError(f"there is no site {str(site)!r}: {self.name} has the heads 0 to {n_heads - 1}")
        return resolved

    def _n_heads_of(self, kind: str) -> int:
        shared = getattr(self._bridge.cfg, "n_key_value_heads", None) if kind in ("k", "v") else None
        return int(shared or self.n_heads)

    def _module_tap(self, path: str) -> ModuleTap:
        module = module_at(self.hf, path)
        if module is None:
            near = difflib.get_close_matches(path, [name for name, _ in self.hf.named_modules()], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(f"unknown site or module {path!r}: {hint}{self._what_there_is()}")
        return ModuleTap(module, "output", block=self._block_around(path), name=path)

    def _block_around(self, path: str) -> nn.Module | None:
        prefix = f"{self._names.blocks}."
        if not self._names.blocks or not path.startswith(prefix):
            return None
        return module_at(self.hf, prefix + path.removeprefix(prefix).partition(".")[0])

    def _no_such_kind(self, kind: str) -> str:
        if kind in _ON_BRIDGE_ONLY and self._bridge is None:
            return f"{kind} is seen by TransformerLens only: load the model with backend='bridge'"
        return f"{self.name} ({type(self.hf).__name__}) has no {kind}: {self._what_there_is()}"

    def _what_there_is(self) -> str:
        kinds = [kind if kind == "embed" else f"{kind}.0" for kind in self.kinds]
        there = f"there are {', '.join(kinds)}" if kinds else "TransformerLens does not know its sites"
        layers = f" up to layer {self.n_layers - 1}" if kinds else ""
        return f"{there}{layers}, and module paths"


def _lens_name(kind: str, layer: int | None) -> str:
    if layer is None:
        return f"hook_{kind}"
    return f"blocks.{layer}.{_LENS_NAMES.get(kind, f'hook_{kind}')}"
