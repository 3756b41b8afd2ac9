"""Reading the sites of a model while it runs batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from conceptscope.hooks._batches import pad
from conceptscope.hooks._kept import Kept
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._picks import Picks
from conceptscope.hooks._prefix_cache import CannotShare, PrefixRunning, SharedPrefix
from conceptscope.hooks._prompts import Prompt
from conceptscope.hooks._running import Running, running
from conceptscope.hooks._site import Site
from conceptscope.hooks._taps import ModuleTap, See


class _Stop(BaseException):
    """Everything asked for has been seen."""


class Recorder:
    """Writes the picked rows of each batch into tensors that hold the rows of all of them.

    dtype: what the rows are cast to; None leaves them as the model has them. first: the number, in the user's
    order, of the first prompt, as an intervention sees it.
    """

    def __init__(
        self,
        model: HookedModel,
        sites: Sequence[Site],
        prompts: Sequence[Prompt],
        picks: Picks,
        dtype: torch.dtype | None = None,
        first: int = 0,
    ) -> None:
        self._model, self._prompts = model, prompts
        self._picks, self._first = picks, first
        self._kept = Kept(sites, picks.n_rows, dtype)
        self._pending: set[Site] = set()
        self._take: Callable[[Site, Tensor], None] = _leave
        self._taps = {place: model.tap(place) for place in self._kept.places}
        inside = set(model.body.modules())
        self._runs: nn.Module = model.body
        if any(isinstance(tap, ModuleTap) and tap.module not in inside for tap in self._taps.values()):
            self._runs = model.hf

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Hooks at all sites, which are gone afterwards whatever happens."""
        handles: list[Any] = []
        try:
            for place, tap in self._taps.items():
                handles.append(tap.register(self._see(place)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def run(self, rows: Sequence[int]) -> None:
        """One batch of prompts, up to the last of the sites."""
        chosen = [self._prompts[row] for row in rows]
        batch = pad(self._model, chosen)
        width = batch.inputs["input_ids"].shape[1]
        self._take = self._writer(rows, lambda line, index: line * width + batch.starts[line] + index)
        inputs: dict[str, Any] = dict(batch.inputs)
        if self._model.accepts("use_cache"):
            inputs["use_cache"] = False
        self._forward(inputs, Running(chosen, self._examples(rows), batch.starts))

    def run_prefix(self, members: Sequence[Sequence[int]], length: int) -> SharedPrefix:
        """Prefixes by themselves, up to the last of the sites.

        members: for each prefix, the prompts that begin with it.

        Raises:
            CannotShare: an intervention treats the members of a prefix differently, or the sites come before
                the first attention.
        """
        shared = SharedPrefix(self._model, self._prompts, members, length)
        seen: dict[Site, Tensor] = {}
        self._take = _leave
        if any(self._picks.before(length, row) for rows in members for row in rows):
            shared.seen = seen
            self._take = lambda place, tensor: seen.update({place: _flat(tensor).clone()})
        prompts = [[self._prompts[row] for row in rows] for rows in members]
        self._forward(shared.inputs(), PrefixRunning(prompts, length))
        if not shared.is_remembered:
            raise CannotShare
        return shared

    def run_after(self, shared: SharedPrefix, rows: Sequence[int]) -> None:
        """One batch of prompts from the end of their prefix on, up to the last of the sites."""
        inputs, width = shared.inputs_after(rows)
        self._take = self._writer(rows, shared.source(rows, width), shared.seen)
        chosen = [self._prompts[row] for row in rows]
        self._forward(inputs, Running(chosen, self._examples(rows), [0] * len(rows), past=shared.length))

    def _examples(self, rows: Sequence[int]) -> list[int]:
        return [self._first + row for row in rows]

    def _forward(self, inputs: Mapping[str, Any], state: Running) -> None:
        self._pending = set(self._kept.places)
        with running(self._model, state), suppress(_Stop):
            self._runs(**inputs)
        if self._pending:
            silent = ", ".join(map(str, sorted(self._pending)))
            raise ValueError(
                f"a forward pass of {self._model.name} does not reach {silent}: choose another site"
            )

    def _see(self, place: Site) -> See:
        def see(tensor: Tensor) -> None:
            self._take(place, tensor)
            self._pending.discard(place)
            if not self._pending:
                raise _Stop

        return see

    def _writer(
        self,
        rows: Sequence[int],
        source: Callable[[int, int], int],
        seen: Mapping[Site, Tensor] | None = None,
    ) -> Callable[[Site, Tensor], None]:
        """What puts the picks of a batch in their place; rows of ``seen`` come before those of the batch."""
        picked = self._picks.of(rows, source)

        def write(place: Site, tensor: Tensor) -> None:
            flat = _flat(tensor) if seen is None else torch.cat([seen[place], _flat(tensor)])
            self._kept.put(place, flat, picked)

        return write

    def results(self) -> dict[Site, Tensor]:
        """The tensor of each site asked for, in that order."""
        return self._kept.tensors()


def _flat(tensor: Tensor) -> Tensor:
    return tensor.flatten(0, 1)


def _leave(place: Site, tensor: Tensor) -> None:
    """Nothing is wanted of this pass but what it leaves in the cache."""
