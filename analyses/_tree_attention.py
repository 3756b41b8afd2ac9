"""Walking the trie of masked texts: a block of players is one pass, with a mask for its tree and a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from conceptscope.analyses._baselines import Baseline, absent_tokens
from conceptscope.analyses._coalition_batches import Asked
from conceptscope.analyses._replayed_blocks import last_mlp, only_at
from conceptscope.analyses._sighted_pass import Sights, sighted_pass
from conceptscope.analyses._trie import Block, blocks
from conceptscope.hooks import HookedModel
from conceptscope.hooks._inference import inference
from conceptscope.hooks._prefix_cache import shares_prefixes
from conceptscope.hooks._prompts import Prompt

_TOKENS, _TOKENS_ON_GPU = 1024, 2**14
_CELLS = 2**26
"""Numbers in a pass's logits, at most."""


def why_no_trie(model: HookedModel, prompt: Prompt, asked: Asked) -> str:
    """Why the trie cannot be taken for a text, in a few words; "" where it can."""
    config = model.hf.config.get_text_config()
    longest = len(prompt) + asked.longest
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    if not model.generates:
        return "not a causal language model"
    if model.backend != "torch":
        return "the model is run through a bridge"
    if _is_hooked(model):
        return "interventions or hooks are on the model"
    if not (shares_prefixes(model) and model.accepts("position_ids")) or getattr(config, "alibi", False):
        return "the architecture does not let a prefix be run by itself"
    if model.hf.config._attn_implementation not in ("eager", "sdpa"):
        return f"{model.hf.config._attn_implementation} attention takes no mask for a tree"
    if getattr(config, "window_size", None) or any(window and window < longest for window in windows):
        return "attention within a sliding window"
    if any(at != [len(prompt) - 1] for _, at in asked.sites.values()):
        return "a target is read before the text's last token"
    return ""


def _is_hooked(model: HookedModel) -> bool:
    hooks = (
        h for m in model.hf.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())
    )
    return any(not str(getattr(hook, "__module__", "")).startswith("transformers.") for hook in hooks)


@dataclass(frozen=True, eq=False)
class _Context:
    """Texts up to a block: who is present in each, which of its tokens are removed, what layers remember."""

    present: Bool[Tensor, "row player"]
    removed: Bool[Tensor, "row token"]
    layers: Sequence[tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return len(self.present)


class Trie:
    """All coalitions of a text's players, in few and short forward passes.

    spans: each player's tokens, in the order of their first tokens.
    """

    def __init__(
        self,
        model: HookedModel,
        prompt: Prompt,
        asked: Asked,
        baseline: Baseline,
        spans: Sequence[tuple[int, ...]],
    ) -> None:
        self._model, self._asked, self._baseline = model, asked, baseline
        self._n_players, self._shared = len(spans), prompt.ids[: spans[0][0]]
        self._narrowed = None if asked.sites else last_mlp(model)
        found = blocks(prompt.ids, spans, [chain.tokens for chain in asked.chains])
        self._blocks = [block.to(model.device) for block in found]

    def all_values(self, done: Callable[[int], Any]) -> Float64[Tensor, "target mask"]:
        """The targets' values for all coalitions by their number, on the CPU."""
        found = torch.empty(len(self._asked.readings), 2**self._n_players, dtype=torch.float64)
        with inference(self._model.hf):
            for numbers, values in self._walk(0, self._root()):
                found[:, numbers.cpu()] = values.cpu()
                done(len(numbers))
        return found

    def _root(self) -> _Context:
        """What all texts begin with."""
        cache, device = DynamicCache(), self._model.device
        ids = torch.tensor([self._shared], dtype=torch.long, device=device)
        if self._shared:
            mask = torch.ones_like(ids)
            self._model.body(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True)
        nobody = torch.zeros(1, 0, dtype=torch.bool, device=device)
        return _Context(nobody, torch.zeros_like(ids, dtype=torch.bool), _layers(cache))

    def _walk(self, level: int, context: _Context) -> Iterator[tuple[Int64[Tensor, " row"], Tensor]]:
        """The numbers of coalitions and their values, a block of the last level after the other."""
        block = self._blocks[level]
        cache, absent = _cache(context), _absent(block, context)
        sights = self._pass(block, context, cache, absent)
        rows = torch.arange(len(context) * len(block.leaves), device=absent.device)
        if level + 1 == len(self._blocks):
            bits = 2 ** torch.arange(self._n_players, device=rows.device)
            yield (_present(block, context, rows) * bits).sum(1), self._read(block, sights)
            return
        following = _Following(block, context, _layers(cache), absent)
        del cache, sights
        for some in torch.split(rows, self._size(self._blocks[level + 1])):
            yield from self._walk(level + 1, following.of(some))

    def _size(self, block: Block) -> int:
        """How many texts to go on from at once."""
        tokens = _TOKENS if self._model.device.type == "cpu" else _TOKENS_ON_GPU
        cells = len(block.ends) * int(self._model.hf.get_input_embeddings().num_embeddings)
        return max(1, min(tokens // block.n_columns, _CELLS // max(1, cells)))

    def _pass(
        self, block: Block, context: _Context, cache: DynamicCache, absent: Bool[Tensor, "row column"]
    ) -> Sights:
        sees = self._sees(block, context, absent)[:, None]
        dtype = self._model.hf.dtype
        inputs = {
            "input_ids": block.ids.expand(absent.shape),
            "attention_mask": torch.zeros_like(sees, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min),
            "position_ids": block.index.expand(absent.shape),
            "past_key_values": cache,
            "use_cache": True,
        }
        with absent_tokens(self._model, self._baseline, absent):
            if not block.tails:
                self._model.body(**inputs)
                return Sights(torch.empty(0, 0, 0), {})
            last = block.leaves[:, -1].tolist()
            sites = {number: (site, last) for number, (site, _) in self._asked.sites.items()}
            narrowed = nullcontext() if self._narrowed is None else only_at(self._narrowed, block.ends)
            with narrowed:
                return sighted_pass(self._model, inputs, block.ends, sites)

    def _sees(
        self, block: Block, context: _Context, absent: Bool[Tensor, "row column"]
    ) -> Bool[Tensor, "#row column seen"]:
        """What each column attends to, before the block and in it; a removed one is seen by itself."""
        past = block.sees.new_ones(1, block.n_columns, block.start)
        if self._baseline.embedding is not None:
            return torch.cat([past, block.sees[None]], 2)
        itself = torch.eye(block.n_columns, dtype=torch.bool, device=absent.device)
        seen = block.sees & (~absent[:, None] | itself)
        return torch.cat([past & ~context.removed[:, None], seen], 2)

    def _read(self, block: Block, sights: Sights) -> Float64[Tensor, "target row"]:
        found: dict[int, Tensor] = {}
        last = {number: seen.flatten(0, 1)[:, None] for number, seen in sights.activations.items()}
        at = 0
        for chain, tails in zip(self._asked.chains, block.tails, strict=True):
            width = len(tails[0])
            logits = sights.logits[:, at : at + len(tails) * width]
            logits = logits.reshape(-1, width, logits.shape[-1])
            found |= self._asked.read(chain, Sights(logits, last))
            at += len(tails) * width
        return torch.stack([found[number] for number in range(len(found))])


class _Following:
    """The texts that go on from a block, by number: coalitions of the block within rows of its context."""

    def __init__(
        self,
        block: Block,
        context: _Context,
        layers: Sequence[tuple[Tensor, Tensor]],
        absent: Bool[Tensor, "row column"],
    ) -> None:
        self._block, self._context, self._layers, self._absent = block, context, layers, absent

    def of(self, numbers: Int64[Tensor, " text"]) -> _Context:
        """Some of them, with a memory of their own."""
        rows, leaves = numbers // len(self._block.leaves), numbers % len(self._block.leaves)
        columns = self._block.leaves[leaves]
        removed = torch.cat([self._context.removed[rows], self._absent[rows[:, None], columns]], 1)
        start = self._block.start

        def along(kept: Tensor) -> Tensor:
            rows_here, columns_here = rows.to(kept.device), columns.to(kept.device)
            new = kept[:, :, start:].transpose(1, 2)[rows_here[:, None], columns_here].transpose(1, 2)
            return torch.cat([kept[:, :, :start].index_select(0, rows_here), new], 2)

        layers = [(along(keys), along(values)) for keys, values in self._layers]
        return _Context(_present(self._block, self._context, numbers), removed, layers)


def _present(block: Block, context: _Context, numbers: Int64[Tensor, " text"]) -> Bool[Tensor, "text player"]:
    """Who is present in texts that go on from a block."""
    rows, leaves = numbers // len(block.leaves), numbers % len(block.leaves)
    here = leaves[:, None] >> torch.arange(len(block.players), device=leaves.device) & 1
    return torch.cat([context.present[rows], here.bool()], 1)


def _absent(block: Block, context: _Context) -> Bool[Tensor, "row column"]:
    """Which columns are an absent player's, of this block or of one before."""
    absent = block.absent.repeat(len(context), 1)
    earlier = (block.owner >= 0) & (block.owner < block.players.start)
    absent[:, earlier] = ~context.present[:, block.owner[earlier]]
    return absent


def _cache(context: _Context) -> DynamicCache:
    """A cache that begins with what layers remember, and leaves that as it is."""
    cache = DynamicCache()
    for keys, values in context.layers:
        layer = DynamicLayer()  # type: ignore[no-untyped-call]
        layer.update(keys, values)
        cache.layers.append(layer)
    return cache


def _layers(cache: Any) -> list[tuple[Tensor, Tensor]]:
    return [(layer.keys, layer.values) for layer in cache.layers]
