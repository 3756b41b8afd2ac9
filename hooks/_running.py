"""What the forward pass now under way is made of, so that a hook knows whose row it sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Int
from torch import Tensor, nn

from conceptscope.hooks._positions import Position, acts_on_generated, prompt_positions
from conceptscope.hooks._prompts import Prompt

if TYPE_CHECKING:
    from conceptscope.hooks._model import HookedModel


@dataclass(frozen=True, eq=False)
class Where:
    """Which tokens the rows of an edit are, as integers, one for each row.

    ``example`` is the index in the user's order. ``position`` counts the prompt's tokens without its special
    ones from 0, and goes on through the generated tokens. ``step`` is 0 in the prompt and 1, 2, ... for the
    first, second, ... generated token.
    """

    example: Int[Tensor, " row"]
    position: Int[Tensor, " row"]
    step: Int[Tensor, " row"]


class _Generated(Where):
    """The next token of each prompt, made when an edit asks, as few do: 1 % of a tiny model's step."""

    @classmethod
    def after(cls, ends: Int[Tensor, "2 row"], step: int) -> Where:
        """So many tokens after each prompt's end; ends: the examples, and their prompts' last positions."""
        found = cls.__new__(cls)
        found.__dict__["made_of"] = ends, step
        return found

    def __getattr__(self, name: str) -> Any:
        if name not in ("example", "position", "step"):
            raise AttributeError(name)
        (example, last_of_prompt), step = self.__dict__["made_of"]
        made = {"position": last_of_prompt + step, "step": torch.full_like(example, step)}
        self.__dict__.update(made, example=example)
        return self.__dict__[name]


@dataclass(frozen=True, eq=False)
class Selection:
    """The selected rows of a flattened [batch * column] axis; ``rows`` is None where it is all of them."""

    rows: Int[Tensor, " row"] | None
    where: Where


@dataclass(eq=False)
class Running:
    """A padded batch of prompts, and the columns of it that the forward pass computes.

    ``examples`` are the prompts' indices in the user's order and ``starts`` the padded column of each one's
    first token. ``past`` columns are in the cache already, and the pass computes the next ``columns``. While
    ``generating``, those from ``width`` on are generated tokens.
    """

    prompts: Sequence[Prompt]
    examples: Sequence[int]
    starts: Sequence[int]
    past: int = 0
    generating: bool = False
    width: int = field(init=False)
    columns: int = field(init=False)
    _begun: bool = field(init=False, repr=False, default=False)
    _selections: dict[tuple[Position, torch.device], Selection | None] = field(
        init=False, repr=False, default_factory=dict
    )
    _chosen: dict[Position, list[list[int]]] = field(init=False, repr=False, default_factory=dict)
    _ends: dict[torch.device, Int[Tensor, "2 row"]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.width = max(s + len(p) for s, p in zip(self.starts, self.prompts, strict=True))
        self.columns = self.width - self.past

    def begin(self, past: int, columns: int) -> None:
        """The forward pass that computes so many columns from ``past`` on begins."""
        self.past, self.columns, self._begun = past, columns, True
        self._selections.clear()

    def go_on(self, columns: int) -> None:
        """The next pass of a generation begins: behind the cached columns, or over all of them again."""
        end = self.past + self.columns
        self.begin(end if self._begun and columns <= end else 0, columns)

    def select(self, positions: Position, device: torch.device) -> Selection | None:
        """The rows of this forward pass that a rule selects, or None where there are none."""
        key = (positions, device)
        if key not in self._selections:
            self._selections[key] = self._select(positions, device)
        return self._selections[key]

    def _select(self, positions: Position, device: torch.device) -> Selection | None:
        if self.columns == 1 and self.past >= self.width:
            return self._one_generated(positions, device)
        if positions not in self._chosen:
            self._chosen[positions] = [
                prompt_positions(positions, p, for_capture=False) for p in self.prompts
            ]
        end = self.past + self.columns
        steps = self._steps(end) if acts_on_generated(positions) else range(0)
        found: list[tuple[int, int, int, int]] = []
        for row, (prompt, start) in enumerate(zip(self.prompts, self.starts, strict=True)):
            example, first = self.examples[row], row * self.columns - self.past
            if self.past < start + len(prompt):
                found += [
                    (first + start + index, example, prompt.content_index[index], 0)
                    for index in self._chosen[positions][row]
                    if self.past <= start + index < end
                ]
            after = len(prompt.content) - 1
            found += [(first + self.width + step - 1, example, after + step, step) for step in steps]
        if not found:
            return None
        rows, *where = torch.tensor(found, device=device).unbind(1)
        everything = len(found) == len(self.prompts) * self.columns
        return Selection(None if everything else rows, Where(*where))

    def _one_generated(self, positions: Position, device: torch.device) -> Selection | None:
        """The rows of a pass over the next token of each prompt: `_select` at every step would cost 2 %."""
        if not (self.generating and acts_on_generated(positions)):
            return None
        if device not in self._ends:
            last = [len(prompt.content) - 1 for prompt in self.prompts]
            self._ends[device] = torch.tensor([list(self.examples), last], device=device)
        return Selection(None, _Generated.after(self._ends[device], self.past - self.width + 1))

    def _steps(self, end: int) -> range:
        if not self.generating:
            return range(0)
        return range(max(1, self.past - self.width + 1), end - self.width + 1)


_NOW: WeakKeyDictionary[nn.Module, Running] = WeakKeyDictionary()


@contextmanager
def running(model: HookedModel, state: Running) -> Iterator[None]:
    """Say what the model's forward passes inside are made of."""
    before = _NOW.get(model.hf)
    set_running(model, state)
    try:
        yield
    finally:
        set_running(model, before)


def set_running(model: HookedModel, state: Running | None) -> None:
    """Say what the model's next forward passes are made of; None: nobody has said."""
    if state is None:
        _NOW.pop(model.hf, None)
    else:
        _NOW[model.hf] = state


def now_running(model: HookedModel) -> Running | None:
    """What the model's forward pass is made of, or None where nobody has said."""
    return _NOW.get(model.hf)
