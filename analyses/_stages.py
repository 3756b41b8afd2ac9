"""Forward passes in stages, in which what the coalitions share is computed once.

The blocks before the first player are the same for all coalitions, and those before the second for all that
treat the first one alike: n players in different layers cost far less than 2^n forward passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from conceptscope.analyses._coalition_batches import Asked, Chain
from conceptscope.analyses._game import nothing
from conceptscope.analyses._masked_edit import masked
from conceptscope.analyses._replayed_blocks import (
    begins_at,
    blocks_of,
    last_mlp,
    only_at,
    output_of,
    replayed,
    rows_of,
)
from conceptscope.analyses._sighted_pass import sighted_pass
from conceptscope.hooks import HookedModel, Intervention, intervene
from conceptscope.hooks._inference import inference
from conceptscope.hooks._intervene import sites_of
from conceptscope.hooks._prompts import Prompt
from conceptscope.hooks._running import Running, running

_ROWS, _TOKENS, _TOKENS_ON_GPU = 32, 2**12, 2**16
"""A batch: small ones are the fastest on a CPU, and fill no GPU."""


@dataclass(frozen=True)
class Stage:
    """Some blocks, from one to before another (or to the model's end), and the players that act there."""

    begin: int
    end: int | None
    players: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Begun:
    """What the blocks before a stage gave for some coalitions, and which row of it is each mask's."""

    output: Any
    row: Int64[Tensor, " mask"]


class StagedForwards:
    """Forward passes over one text in which interventions act on some rows."""

    def __init__(
        self, model: HookedModel, prompt: Prompt, asked: Asked, players: Sequence[Intervention]
    ) -> None:
        self.model, self.prompt, self.asked, self.players = model, prompt, asked, players
        self._blocks = blocks_of(model)
        self._alone = any(len(player.parts()) > 1 for player in players)
        begins = [begins_at(model, self._blocks, site) for site in sites_of(model, players)]
        seen = [begins_at(model, self._blocks, site) for site, _ in asked.sites.values()]
        self._outside = None in begins or None in seen
        self._begins = [begin or 0 for begin in begins]
        self._seen = min((begin or 0 for begin in seen), default=len(self._blocks))
        self._narrowed: nn.Module | None = None

    def why_whole(self) -> str:
        """Why whole forward passes are needed with the hooks that are now on the model; "" where not."""
        if not self._blocks:
            return "the model's blocks cannot be run from the middle"
        if getattr(self.model.hf.config.get_text_config(), "num_kv_shared_layers", 0):
            return "later blocks use the keys and values of earlier ones"
        if self._alone:
            return "one coalition at a time, as a player acts on a condition"
        if self._outside:
            return "a player or a target is outside the model's blocks"
        return "" if self.cuts() else "a player, a target or another's hook is in the first block"

    def cuts(self) -> tuple[int, ...]:
        """The blocks that a stage may begin with: where a player begins, and nothing looks further back."""
        limit = min(self._seen, self._first_hooked())
        return tuple(sorted({min(begin, limit) for begin in self._begins} - {0}))

    def _first_hooked(self) -> int:
        """The first block with a hook, which must see the whole of each coalition."""
        return next(
            (number for number, block in enumerate(self._blocks) if _is_hooked(block)), len(self._blocks)
        )

    def values(
        self,
        absent: Bool[Tensor, "mask player"],
        cuts: tuple[int, ...],
        done: Callable[[int], Any],
    ) -> Float64[Tensor, "target mask"]:
        """The targets' values for each row of absent players, on the CPU; a stage begins at each cut."""
        found = torch.empty(len(self.asked.readings), len(absent), dtype=torch.float64)
        stages = self._stages(cuts)
        self._narrowed = self._last_mlp() if cuts else None
        with inference(self.model.hf):
            for number, chain in enumerate(self.asked.chains):
                walk = _Walk(self, stages, chain, found, nothing if number else done)
                walk.go_on(0, torch.arange(len(absent)), absent, None)
        return found

    def _stages(self, cuts: tuple[int, ...]) -> list[Stage]:
        begins, ends = (0, *cuts), (*cuts, None)
        stages = []
        for begin, end in zip(begins, ends, strict=True):
            inside = (n for n, b in enumerate(self._begins) if begin <= b and (end is None or b < end))
            stages.append(Stage(begin, end, tuple(inside)))
        return stages

    def rows(self, chain: Chain) -> int:
        """How many coalitions share a batch."""
        if self._alone:
            return 1
        length = len(self.prompt) + len(chain.tokens)
        if self.model.device.type == "cpu":
            return max(1, min(_ROWS, _TOKENS // length))
        return max(1, _TOKENS_ON_GPU // length)

    def run(self, stage: Stage, chain: Chain, absent: Bool[Tensor, "row player"], output: Any) -> Any:
        """One batch through a stage: what its last block gives, or the values at the model's end."""
        n = len(absent)
        model, state = self.model, Running([self.prompt] * n, [0] * n, [0] * n, generating=bool(chain.tokens))
        acting = [
            masked(part, absent[:, number])
            for number in stage.players
            if absent[:, number].any()
            for part in self.players[number].parts()
        ]
        inputs = self._inputs(chain, n)
        here = {number: self.asked.sites[number] for number in chain.readings if number in self.asked.sites}
        with ExitStack() as stack:
            stack.enter_context(intervene(model, *acting))
            stack.enter_context(running(model, state))
            stack.enter_context(replayed(self._blocks[: stage.begin], output))
            if stage.end is not None:
                return output_of(self._blocks[stage.end - 1], lambda: model.hf(**inputs))
            if self._narrowed is not None:
                stack.enter_context(only_at(self._narrowed, self.asked.steps(chain)))
            return self.asked.read(chain, sighted_pass(model, inputs, self.asked.steps(chain), here))

    def _last_mlp(self) -> nn.Module | None:
        """The last block's MLP, where nothing looks at what it gives but the logits of the tokens read."""
        if self.asked.sites or max(self._begins) >= len(self._blocks) - 1 or _is_hooked(self.model.hf):
            return None
        return last_mlp(self.model)

    def _inputs(self, chain: Chain, n: int) -> dict[str, Any]:
        ids = torch.tensor([*self.prompt.ids, *chain.tokens], device=self.model.device).repeat(n, 1)
        inputs: dict[str, Any] = {"input_ids": ids}
        if self.model.accepts("attention_mask"):
            inputs["attention_mask"] = torch.ones_like(ids)
        if self.model.accepts("use_cache"):
            inputs["use_cache"] = False
        return inputs


class _Walk:
    """Depth-first through the stages: a few coalitions of the earlier players at a time."""

    def __init__(
        self,
        forwards: StagedForwards,
        stages: Sequence[Stage],
        chain: Chain,
        found: Float64[Tensor, "target mask"],
        done: Callable[[int], Any],
    ) -> None:
        self._forwards, self._stages, self._chain = forwards, stages, chain
        self._found, self._done = found, done
        self._known = [[p for one in stages[: n + 1] for p in one.players] for n in range(len(stages))]

    def go_on(
        self,
        level: int,
        masks: Int64[Tensor, " mask"],
        absent: Bool[Tensor, "mask player"],
        begun: _Begun | None,
    ) -> None:
        """Run a stage, and those after it, for masks of these numbers."""
        stage = self._stages[level]
        first, of = _distinct(absent[:, self._known[level]])
        for some in torch.split(torch.arange(len(first)), self._forwards.rows(self._chain)):
            output = None if begun is None else rows_of(begun.output, begun.row[first[some]])
            given = self._forwards.run(stage, self._chain, absent[first[some]], output)
            here = ((of >= some[0]) & (of <= some[-1])).nonzero()[:, 0]
            row = of[here] - some[0]
            if stage.end is None:
                self._keep(masks[here], given, row)
            else:
                self.go_on(level + 1, masks[here], absent[here], _Begun(given, row))

    def _keep(self, masks: Int64[Tensor, " mask"], given: Any, row: Int64[Tensor, " mask"]) -> None:
        for number, values in given.items():
            self._found[number, masks] = values.cpu()[row]
        self._done(len(masks))


def _distinct(
    patterns: Bool[Tensor, "mask player"],
) -> tuple[Int64[Tensor, " pattern"], Int64[Tensor, " mask"]]:
    """The first mask with each pattern, and the pattern of each mask; masks of no players are all alike."""
    padded = torch.nn.functional.pad(patterns, (1, 0))
    distinct, of = torch.unique(padded, dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(of)).scatter_reduce(0, of, torch.arange(len(of)), "amin")
    return first, of


def _is_hooked(root: nn.Module) -> bool:
    """Whether a hook sits on a module or below it; those of transformers look at nothing."""
    hooks = (h for m in root.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values()))
    return any(not str(getattr(hook, "__module__", "")).startswith("transformers.") for hook in hooks)
