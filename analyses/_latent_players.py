"""Players inside a model: heads, outputs of layers and concepts, and what happens to an absent one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conceptscope.hooks import (
    Examples,
    HookedModel,
    Intervention,
    Site,
    capture,
    mean_ablate,
    zero_ablate,
)
from conceptscope.hooks._intervene import sites_of
from conceptscope.hooks._prompts import Text
from conceptscope.probes import Concept

LatentPlayer = Site | str | Concept | Intervention
Ablation = str | Callable[[Site], Intervention]


@dataclass(frozen=True, eq=False)
class LatentPlayers:
    """What acts on the model where each player is absent; labels: what they are called, each once.

    baseline: the same in words.
    """

    labels: tuple[str, ...]
    interventions: tuple[Intervention, ...]
    baseline: str


def latent_players(
    model: HookedModel,
    text: Text,
    players: Sequence[LatentPlayer],
    ablate: Ablation,
    examples: Examples | Sequence[Text] | None,
) -> LatentPlayers:
    """The players of a model; arguments as in `latent_game`.

    Raises:
        TypeError: players or an ablation of another kind.
        ValueError: no players, one that is given twice, a site that the model does not have, the embedding, a
            concept or an intervention of another model, or examples where no mean is taken.
    """
    listed = _checked(players)
    at = {number: Site.parse(one) for number, one in enumerate(listed) if isinstance(one, Site | str)}
    sites = dict(zip(at, [model.resolve_sites([site])[0] for site in at.values()], strict=True))
    ablations = _ablations(model, text, list(sites.values()), ablate, examples)
    made, labels = [], []
    for number, one in enumerate(listed):
        made.append(ablations[sites[number]] if number in sites else _acting(one))
        labels.append(str(sites[number]) if number in sites else _label(one, made[-1]))
    for label, there in zip(labels, sites_of(model, made), strict=True):
        _check_inside(label, there)
    _check_once(labels)
    return LatentPlayers(tuple(labels), tuple(made), _baseline(listed, ablate, examples))


def _checked(players: Any) -> list[LatentPlayer]:
    if isinstance(players, LatentPlayer):
        raise TypeError(f"expected a list of players, got one: write [{players!r}]")
    listed = list(players)
    if not listed:
        raise ValueError("there are no players: give some, such as ['z.3.0', 'z.3.1', 'mlp_out.4']")
    for one in listed:
        if not isinstance(one, LatentPlayer):
            raise TypeError(f"a player inside a model is a site, a concept or an intervention, got {one!r}")
    return listed


def _ablations(
    model: HookedModel, text: Text, sites: list[Site], ablate: Any, examples: Any
) -> dict[Site, Intervention]:
    """What acts on each site where it is absent."""
    if examples is not None and not (ablate == "mean" and sites):
        raise ValueError(
            "examples= are for the mean of players that are sites, and none is taken: leave it out"
        )
    if ablate == "mean":
        if not sites:
            return {}
        seen = capture(model, [text] if examples is None else Examples.of(examples), sites, position="all")
        return {site: mean_ablate(seen, site) for site in sites}
    if ablate == "zero":
        return {site: zero_ablate(site) for site in sites}
    if callable(ablate):
        return {site: _made(ablate, site) for site in sites}
    raise ValueError(
        f"ablate must be 'mean', 'zero' or a function from a site to an intervention, got {ablate!r}"
    )


def _made(ablate: Callable[[Site], Intervention], site: Site) -> Intervention:
    found = ablate(site)
    if not isinstance(found, Intervention):
        raise TypeError(f"ablate= must give an intervention for each site, and gave {found!r} for {site}")
    return found


def _acting(player: Any) -> Intervention:
    return player if isinstance(player, Intervention) else player.erase()


def _label(player: Any, acting: Intervention) -> str:
    name = player.name or ("intervention" if isinstance(player, Intervention) else "concept")
    where = "" if acting.positions == "all" else f" ({acting.positions})"
    return f"{name} at {acting.site}{where}"


def _check_inside(label: str, site: Site) -> None:
    if site.kind == "embed":
        raise ValueError(
            f"the player {label!r} is at the embedding, where a text's words are players: "
            "take players='words', or a site in a layer"
        )


def _check_once(labels: Sequence[str]) -> None:
    for number, label in enumerate(labels):
        if label in labels[:number]:
            raise ValueError(
                f"the player {label!r} is given twice: leave one out or, if they differ, name them, "
                "as with dataclasses.replace(player, name='...')"
            )


def _baseline(players: Sequence[LatentPlayer], ablate: Ablation, examples: Any) -> str:
    """What happens to absent players, in words."""
    words = []
    if any(isinstance(one, Site | str) for one in players):
        over = "the text's own tokens" if examples is None else f"{len(Examples.of(examples))} examples"
        names = {"mean": f"the mean over {over}", "zero": "zero"}
        words.append(names.get(ablate, "ablate(site)") if isinstance(ablate, str) else "ablate(site)")
    if any(isinstance(one, Concept) for one in players):
        words.append("concepts erased")
    if any(isinstance(one, Intervention) for one in players):
        words.append("the given interventions")
    return "; ".join(words)
