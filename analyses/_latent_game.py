"""The game of a model's parts: heads, layers' outputs and concepts act or are ablated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from conceptscope.analyses._coalition_batches import Asked, the_prompt
from conceptscope.analyses._game import nothing
from conceptscope.analyses._latent_players import (
    Ablation,
    LatentPlayer,
    LatentPlayers,
    latent_players,
)
from conceptscope.analyses._played_text import PlayedText, a_few
from conceptscope.analyses._stages import StagedForwards
from conceptscope.analyses._targets import as_targets
from conceptscope.hooks import Examples, HookedModel
from conceptscope.hooks._prompts import Text


class LatentGame(PlayedText):
    """Parts of a model that are present or ablated, and the targets' values for any coalition of them.

    Made by `latent_game`. ``targets`` and ``baseline`` say in words what is read and what happens to an
    absent player, ``path`` how coalitions are computed. Interventions that are active when values are
    computed apply.
    """

    def __init__(self, forwards: StagedForwards, players: LatentPlayers) -> None:
        self.forwards = forwards
        self.text = forwards.prompt.text
        self.tokens = tuple(forwards.model.tokenizer.decode([token]) for token in forwards.prompt.ids)
        self.players, self.baseline = players.labels, players.baseline
        self.targets = tuple(one.name for one in forwards.asked.readings)
        self._agrees: dict[tuple[int, ...], bool] = {}

    @property
    def path(self) -> str:
        """How coalitions are computed, with the interventions and hooks that are now on the model."""
        why = self.forwards.why_whole()
        if not why and not self._agrees.get(self.forwards.cuts(), True):
            why = "blocks run from the middle do not give what whole forward passes give"
        if why:
            return f"batches: {why}"
        return f"layer by layer: what comes before layer {self.forwards.cuts()[0]} once"

    def _values(
        self, masks: Bool[Tensor, "mask player"], done: Callable[[int], Any]
    ) -> Float64[Tensor, "target mask"]:
        absent = ~masks
        cuts = () if self.forwards.why_whole() else self.forwards.cuts()
        if cuts and not self._is_right(cuts, absent):
            cuts = ()
        return self.forwards.values(absent, cuts, done)

    def _is_right(self, cuts: tuple[int, ...], absent: Bool[Tensor, "mask player"]) -> bool:
        """Whether a few coalitions have the values of whole forward passes; an architecture may surprise."""
        if cuts not in self._agrees:
            few = absent[a_few(absent)]
            tolerance = torch.finfo(self.forwards.model.hf.dtype).eps ** 0.5
            found, true = (self.forwards.values(few, chosen, nothing) for chosen in (cuts, ()))
            self._agrees[cuts] = torch.allclose(found, true, atol=tolerance, rtol=tolerance)
        return self._agrees[cuts]


def latent_game(
    model: HookedModel,
    text: Text,
    targets: Any,
    players: Sequence[LatentPlayer],
    *,
    ablate: Ablation = "mean",
    examples: Examples | Sequence[Text] | None = None,
) -> LatentGame:
    """The game of a model's parts on a text or a chat.

    targets: see `as_targets`. The tokens of a target of several count as generated ones.
    players: sites ("z.6.3", a head; "mlp_out.4"), which are ablated where they are absent; concepts, which
        are erased; or interventions, which act where the player is absent.
    ablate: what becomes of an absent site's activations, at all tokens but special ones: "mean" (one mean
        for all tokens, over those of ``examples`` or, by default, of the text itself, which keeps what its
        tokens have in common), "zero", or a function from a site to an intervention.

    Absent players are ablated in one forward pass, those at one site in the order given, so that each sees
    what earlier ablations have left. The means themselves are taken once, with all players present and under
    the interventions around this call.

    Raises:
        TypeError, ValueError: what `as_targets` and `latent_players` refuse; a text that is empty or longer
            than the model's context.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> game = latent_game(model, "the dog was not happy . it", cs.LogOdds("cried"), ["mlp_out.2", "z.3.0"])
    >>> game.all_values().shape
    torch.Size([1, 4])
    """
    readings = as_targets(model, targets)
    chosen = latent_players(model, text, players, ablate, examples)
    prompt = the_prompt(model, text)
    asked = Asked(model, prompt, readings)
    return LatentGame(StagedForwards(model, prompt, asked, chosen.interventions), chosen)
