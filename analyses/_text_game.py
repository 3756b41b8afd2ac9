"""The game of a text: words, tokens or spans are present or absent, and the model says what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from conceptscope.analyses._baseline_learning import Played, learn
from conceptscope.analyses._baselines import Baseline, fixed_baseline
from conceptscope.analyses._coalition_batches import Asked, TextForwards, the_prompt
from conceptscope.analyses._played_text import PlayedText, a_few
from conceptscope.analyses._players import Players, TextPlayers, str_tokens, text_players
from conceptscope.analyses._targets import as_targets
from conceptscope.analyses._tree_attention import Trie, why_no_trie
from conceptscope.hooks import HookedModel
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import torch_generator

_TRIE = "prefix trie"
_STEPS = 50
_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
"""How far a value may be off by the arithmetic of its dtype: far less than where a mask is not understood."""

_SHOWN: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
"""Models whose tries were compared with plain forward passes, and with which attention."""


class TextGame(PlayedText):
    """A text whose players can be absent, and the targets' values for any coalition of them.

    Made by `text_game`. ``tokens`` are the text's, as strings with their spaces; ``spans`` the indices of
    each player's tokens, ``fixed`` those of all others. ``targets`` and ``baseline`` say in words what is
    read and what stands for an absent player (``replacement``), ``path`` how all coalitions are computed.
    """

    def __init__(self, forwards: TextForwards, players: Players) -> None:
        model, prompt = forwards.model, forwards.prompt
        self._forwards, self._players = forwards, players
        self.text = prompt.text
        self.tokens = str_tokens(model, prompt)
        self.players, self.spans = players.labels, players.spans
        playing = {index for span in self.spans for index in span}
        self.fixed = tuple(index for index in range(len(prompt)) if index not in playing)
        self.targets = tuple(one.name for one in forwards.asked.readings)
        self.baseline, self.replacement = forwards.baseline.name, forwards.baseline
        self._found_wrong = ""

    @property
    def path(self) -> str:
        """How all coalitions are computed, with the hooks that are on the model now."""
        forwards = self._forwards
        why = self._found_wrong or why_no_trie(forwards.model, forwards.prompt, forwards.asked)
        return f"batches: {why}" if why else _TRIE

    def _values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target mask"]:
        return self._forwards.values(self._players.absent(masks, len(self.tokens)), done)

    def _all_values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target mask"]:
        if self.path == _TRIE:
            forwards = self._forwards
            trie = Trie(forwards.model, forwards.prompt, forwards.asked, forwards.baseline, self.spans)
            found = trie.all_values(done)
            if self._is_right(found, masks):
                return found
            self._found_wrong = "the trie did not give what plain forward passes give"
        return self._values(masks, done)

    def _is_right(self, found: Float64[Tensor, "target mask"], masks: Bool[Tensor, "mask player"]) -> bool:
        """Whether a few coalitions have the values of plain forward passes, asked once for a model.

        An architecture may understand a mask in its own way.
        """
        hf = self._forwards.model.hf
        if _SHOWN.get(hf) != hf.config._attn_implementation:
            few = a_few(masks)
            off = _TOLERANCE[hf.dtype]
            if not torch.allclose(found[:, few], self.values(masks[few]), atol=off, rtol=1e-3):
                return False
            _SHOWN[hf] = hf.config._attn_implementation
        return True


def text_game(
    model: HookedModel,
    text: Text,
    targets: Any,
    *,
    players: TextPlayers = "words",
    baseline: str | int | Baseline = "mean",
    generator: int | torch.Generator = 0,
    fixed: Sequence[str] | None = None,
) -> TextGame:
    """The game of a text or a chat.

    targets: see `as_targets`; players and fixed: see `text_players`.
    baseline: what stands for an absent player's tokens: "mean" (the mean embedding), "learned" (an embedding
        learned for this text), "attention" (nothing: they are removed by the attention mask, and all others
        keep their positions), a token as a string or an id, or a `Baseline` made before.

    Raises:
        TypeError, ValueError: what `as_targets`, `text_players` and the baseline refuse; a text that is empty
            or longer than the model's context.
    """
    begun = fixed_baseline(model, "mean" if baseline == "learned" else baseline)
    forwards, found = played(model, text, targets, players, fixed, begun)
    if baseline == "learned":
        forwards = forwards.with_baseline(learn([(forwards, found)], _STEPS, torch_generator(generator)))
    return TextGame(forwards, found)


def played(
    model: HookedModel,
    text: Text,
    targets: Any,
    players: TextPlayers,
    fixed: Sequence[str] | None,
    baseline: Baseline,
) -> Played:
    """A text with its players, ready for forward passes; arguments as in `text_game`."""
    prompt = the_prompt(model, text)
    found = text_players(model, prompt, players, fixed)
    removed = baseline.embedding is None
    removable = [index for span in found.spans for index in span] if removed else []
    asked = Asked(model, prompt, as_targets(model, targets), removable)
    return TextForwards(model, prompt, asked, baseline), found
