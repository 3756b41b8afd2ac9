"""The verb: which players together make the model say this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack, cast, overload

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from conceptscope.analyses._baselines import Baseline
from conceptscope.analyses._decomposition import check_method, decompose
from conceptscope.analyses._game import EXACT, check_exact
from conceptscope.analyses._interactions_result import Interactions
from conceptscope.analyses._latent_game import latent_game
from conceptscope.analyses._played_text import PlayedText
from conceptscope.analyses._players import TextPlayers
from conceptscope.analyses._sentence import Sentence
from conceptscope.analyses._sparse_game import sparse_interactions
from conceptscope.analyses._sparse_interactions import SparseInteractions
from conceptscope.analyses._targets import ClassLogOdds, LogitDifference, LogOdds, Similarity
from conceptscope.analyses._text_game import TextGame, text_game
from conceptscope.analyses._value_noise import value_noise
from conceptscope.hooks import Examples, HookedModel, Intervention, Site
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import torch_generator
from conceptscope.probes import Concept, EncodedConcept

LatentPlayers = Sequence[Site | Concept | Intervention]
OneTarget = (
    LogOdds
    | LogitDifference
    | ClassLogOdds
    | Similarity
    | Concept
    | EncodedConcept
    | Callable[[Float[Tensor, "row vocab"]], Float[Tensor, " row"]]
)
Targets = Sequence[OneTarget]


class _Settings(TypedDict, total=False):
    """What the type of the result does not depend on."""

    players: TextPlayers | LatentPlayers
    baseline: str | int | Baseline
    fixed: Sequence[str] | None
    ablate: str | Callable[[Site], Intervention]
    examples: Examples | Sequence[Text] | None
    method: str
    noise_share: float
    noise: bool
    generator: int
    progress: bool


@overload
def interactions(
    model: HookedModel, text: Text, target: Targets, *, budget: None = None, **settings: Unpack[_Settings]
) -> list[Interactions]: ...
@overload
def interactions(
    model: HookedModel, text: Text, target: OneTarget, *, budget: None = None, **settings: Unpack[_Settings]
) -> Interactions: ...
@overload
def interactions(
    model: HookedModel, text: Text, target: Targets, *, budget: int, **settings: Unpack[_Settings]
) -> list[Interactions] | list[SparseInteractions]: ...
@overload
def interactions(
    model: HookedModel, text: Text, target: OneTarget, *, budget: int, **settings: Unpack[_Settings]
) -> Interactions | SparseInteractions: ...
def interactions(
    model: HookedModel,
    text: Text,
    target: OneTarget | Targets,
    *,
    players: TextPlayers | LatentPlayers = "words",
    baseline: str | int | Baseline = "mean",
    fixed: Sequence[str] | None = None,
    ablate: str | Callable[[Site], Intervention] = "mean",
    examples: Examples | Sequence[Text] | None = None,
    method: str = "and",
    budget: int | None = None,
    noise_share: float = 0.0,
    noise: bool = True,
    generator: int = 0,
    progress: bool = False,
) -> Interactions | SparseInteractions | list[Interactions] | list[SparseInteractions]:
    """What a model computes for a text as a sum of interactions between its words, or between its parts.

    For each of the 2^n masks of n players (20 at most) the target is computed with only these players
    present; the effects of the result add up to it on every mask (`Interactions`). With a budget, so many
    random masks are computed instead, of up to 1000 players, and the effects are those of a sparse sum that
    is fitted to most of them and tested on the others (`SparseInteractions`).

    target: LogOdds, LogitDifference, ClassLogOdds, Similarity, a Concept (its reading, at its own position of
        the whole text), or a function of the last logits, [row, vocab] to [row]; a list of these gives a list
        of results, for one run of the model.
    players: "words" (but for stop words, see ``fixed``), "tokens", spans (strings of the text, or
        (start, end) in characters); in a chat, those of the last user's message. Or parts of the model: sites
        (a head, a layer's MLP or attention) or concepts; or interventions, each of which is what happens to a
        player that is absent.
    baseline: what stands in for an absent player of the text: "mean" (the mean row of the embedding), a
        token, "learned" (one embedding in which the text's parts interact least), or "attention" (absent
        tokens are not attended to). fixed: words that are no players; None is a list of stop words.
    ablate: what happens to an absent site: "mean", "zero", or a function from a site to an Intervention;
        examples: the texts whose mean it is, by default this one.
    method: "and", "or" or "and-or", the sparsest mixture of both. noise_share: of "and-or": how far each
        value may be changed for the sake of fewer effects, as a share of the gain of all players over none
        (the paper's is 0.04).
    budget: how many masks to compute, for more players than 20; from 100, and four for each player. Where all
        masks are no more than that, all are computed.
    noise: also measure what the model's arithmetic does to the values (`Interactions.noise_floor`): one mask
        in twenty is computed again in twice as many bits, for which the weights need twice the memory more.

    Interventions around the call apply. Raises:
        KeyError, ValueError: players, targets or a baseline that the text or the model does not have, or more
            than 20 players without a budget; the message says what to give instead.

    Source: arXiv 2305.01939; 2304.13312 (OR).

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> found = cs.interactions(model, "the dog was not happy. it", cs.LogOdds("cried"))
    >>> found.strongest(1)[0].name
    'not & happy'
    """
    check_method(method, noise_share)
    if budget is not None and noise_share:
        raise ValueError("noise_share= is for all masks: with budget= the sparse fit leaves the noise out")
    source = torch_generator(generator)
    state = source.get_state()
    several = isinstance(target, list | tuple)
    targets: Any = target if several else [target]
    parts = _parts_of_the_model(players)

    def game(absent: str | int | Baseline) -> PlayedText:
        if parts is not None:
            return latent_game(model, text, targets, parts, ablate=ablate, examples=examples)
        words = cast(TextPlayers, players)
        return text_game(model, text, targets, players=words, baseline=absent, fixed=fixed, generator=source)

    played = game(baseline)
    if budget is not None and not (len(played.players) <= EXACT and budget >= 2 ** len(played.players)):
        sparse = _sparse(played, model, budget, method, source, progress)
        return sparse if several else sparse[0]
    values = _all_values(played, progress)
    same = played.replacement if isinstance(played, TextGame) else baseline
    off = value_noise(model, lambda: game(same), values, source) if noise else None
    # Only now the path is known: a trie that was found wrong has given way to batches.
    shared = _shared(played, played.path, model)
    exact = [
        Interactions(
            played.players,
            values[number],
            decompose(values[number], method, noise_share),
            target=name,
            value_noise=None if off is None else float(off[number]),
            generator_state=state,
            **vars(shared),
        )
        for number, name in enumerate(played.targets)
    ]
    return exact if several else exact[0]


@dataclass(frozen=True)
class _Shared:
    """What the results of one game have in common."""

    baseline: str
    path: str
    model_name: str
    sentence: Sentence | None


def _shared(played: PlayedText, path: str, model: HookedModel) -> _Shared:
    sentence = Sentence(played.text, played.tokens, played.spans) if isinstance(played, TextGame) else None
    return _Shared(played.baseline, path, model.name, sentence)


def _all_values(played: PlayedText, progress: bool) -> Float64[Tensor, "target mask"]:
    check_exact(len(played.players))
    with progress_bar("interactions", 2 ** len(played.players), progress) as done:
        return played.all_values(done)


def _sparse(
    played: PlayedText,
    model: HookedModel,
    budget: int,
    method: str,
    source: torch.Generator,
    progress: bool,
) -> list[SparseInteractions]:
    with progress_bar("interactions", budget, progress) as done:
        found = sparse_interactions(played, budget, generator=source, done=done)
    shared = _shared(played, "batches of random coalitions", model)
    return [
        SparseInteractions(surrogate, method, target=name, **vars(shared))
        for name, surrogate in zip(played.targets, found, strict=True)
    ]


def _parts_of_the_model(players: Any) -> LatentPlayers | None:
    """Players that are parts of the model, or None where they are of the text.

    Raises:
        TypeError: some are, and some are not.
    """
    if isinstance(players, str):
        return None
    listed = list(players)
    kinds = {isinstance(one, Site | Concept | Intervention) for one in listed}
    if len(kinds) > 1:
        raise TypeError(
            "players are parts of the text, such as 'dog', or parts of the model, such as Site('z.3.5'), not "
            "both in one call"
        )
    return listed if True in kinds else None
