"""Interactions of many texts: the sparse-concept paper's table, for any model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from conceptscope.analyses._effects import Effect
from conceptscope.analyses._found_effects import SALIENT
from conceptscope.analyses._interactions_result import Interactions
from conceptscope.analyses._prompt_bootstrap import PromptBootstrap
from conceptscope.analyses._statistics_result import NO_SHARES, InteractionStatistics, Statistic
from conceptscope.hooks._random import numpy_generator, torch_generator

Key = tuple[str, frozenset[str]]
"""An interaction wherever it occurs: its kind, and its players' words without regard to capitals."""


def interaction_statistics(
    results: Sequence[Interactions],
    other: Sequence[Interactions] | None = None,
    *,
    tau: float = SALIENT,
    largest: Sequence[int] = (5, 10, 20, 50),
    resamples: int = 1000,
    generator: int = 0,
) -> InteractionStatistics:
    """How sparse, how shared and how telling the interactions of many texts are, with 95 % intervals.

    results: of one model and target, a text each. other: of another model, for the same texts in the same
    order; then there is a transfer between models. tau: what counts as salient. largest: the k of the
    transfer between texts. Intervals draw texts anew; Wilson's for the share of monotone texts.

    - salient: the number of salient interactions of a text, bound: the paper's bound on it
    - monotone: the share of texts whose mean gain never falls as players are added; degree: the third
      condition's p
    - transfer(k): the share of a text's salient interactions that are among the k most frequent ones of the
      OTHER texts (the paper counts the text itself too, which favours small samples); of equally frequent
      ones the first by kind and name
    - discrimination: the share of salient interactions, among those that other texts have too, whose sign is
      that of most of these; .5 is chance
    - unfaithfulness: the squared error of the values rebuilt from salient interactions alone, over the
      values' own squares, as gains over no player
    - between models: the share of a text's salient interactions that are salient in the other model

    Raises:
        ValueError: fewer than two texts, different targets or methods, or others that do not fit.

    Source: arXiv 2305.01939, section 3 and appendix.

    >>> import conceptscope as cs
    >>> model, target = cs.load_model("tinyworld"), cs.LogOdds("cried")
    >>> texts = ["the dog was not happy. it", "the small cat was never happy. it"]
    >>> found = cs.interaction_statistics([cs.interactions(model, text, target) for text in texts])
    >>> found["players"].value
    3.5
    """
    _check(results, other)
    salient = [_keyed(one.salient(tau)) for one in results]
    rng = numpy_generator(torch_generator(generator))
    bootstrap = PromptBootstrap(range(len(results)), resamples, rng)

    def row(name: str, values: Sequence[float | None]) -> Statistic:
        known = [float(value) for value in values if value is not None]
        if len(known) < 2:
            return Statistic(name, None, None, None, len(known))
        drawn = (
            bootstrap if len(known) == len(results) else PromptBootstrap(range(len(known)), resamples, rng)
        )
        value, low, high = drawn.interval(np.array(known))
        if name != "degree":  # where the mean gain falls, p is negative
            low = max(low, 0.0)
        if name not in NO_SHARES:
            high = min(high, 1.0)
        return Statistic(name, value, low, high, len(known))

    conditions = [one.conditions(tau) for one in results]
    rows = [
        row("players", [len(one.players) for one in results]),
        row("salient", [len(one) for one in salient]),
        row("bound", [sum(one.bound) for one in conditions]),
        _yes_or_no("monotone", [one.is_monotone for one in conditions]),
        row("degree", [one.degree for one in conditions]),
        *(row(f"transfer({k})", _transfers(salient, k)) for k in largest),
        row("discrimination", _agreements(salient)),
        row("unfaithfulness", [_unfaithfulness(one, tau) for one in results]),
    ]
    if other is not None:
        others = [_keyed(one.salient(tau)) for one in other]
        rows.append(row("between models", [_share(a, b) for a, b in zip(salient, others, strict=True)]))
    return InteractionStatistics(
        tuple(rows), results[0].target, results[0].method, tau, results[0].model_name
    )


def _yes_or_no(name: str, values: Sequence[bool]) -> Statistic:
    """A share of texts, with Wilson's interval: drawn anew, texts that all agree would look certain."""
    from scipy.stats import binomtest

    ends = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    return Statistic(name, sum(values) / len(values), float(ends.low), float(ends.high), len(values))


def _check(results: Sequence[Interactions], other: Sequence[Interactions] | None) -> None:
    if len(results) < 2:
        raise ValueError(f"statistics need the interactions of at least two texts, got {len(results)}")
    for what in ("target", "method", "model_name"):
        found = {getattr(one, what) for one in results}
        if len(found) > 1:
            raise ValueError(
                f"the results have several values of {what} ({', '.join(map(repr, sorted(found)))}): "
                "statistics are of one"
            )
    if other is None:
        return
    if len(other) != len(results):
        raise ValueError(
            f"other= has {len(other)} results and results has {len(results)}: give the same texts"
        )
    for number, (one, its) in enumerate(zip(results, other, strict=True)):
        if one.players != its.players:
            raise ValueError(
                f"text {number} has other players in other=: give the same texts, in their order"
            )


def _keyed(effects: Sequence[Effect]) -> dict[Key, float]:
    return {
        (one.kind, frozenset(player.strip().casefold() for player in one.players)): one.value
        for one in effects
    }


def _transfers(salient: Sequence[dict[Key, float]], k: int) -> list[float | None]:
    """For each text the share of its salient interactions among the k most frequent ones of the others."""
    counts = Counter(key for one in salient for key in one)
    found: list[float | None] = []
    for one in salient:
        others = counts - Counter(one.keys())
        frequent = set(sorted(others, key=lambda key: (-others[key], key[0], sorted(key[1])))[:k])
        found.append(len(frequent & one.keys()) / len(one) if one else None)
    return found


def _agreements(salient: Sequence[dict[Key, float]]) -> list[float | None]:
    """For each text the share of its shared interactions with the sign of most others; a tie is a half."""
    signs: Counter[Key] = Counter()
    for one in salient:
        signs.update({key: int(np.sign(value)) for key, value in one.items()})
    counts = Counter(key for one in salient for key in one)
    found: list[float | None] = []
    for one in salient:
        shared = [(np.sign(value), signs[key]) for key, value in one.items() if counts[key] > 1]
        agree = [(1 + np.sign(own * (total - own))) / 2 for own, total in shared]
        found.append(float(np.mean(agree)) if agree else None)
    return found


def _unfaithfulness(one: Interactions, tau: float) -> float | None:
    rebuilt = one.rebuilt_from(one.salient(tau))
    gains, off = one.values - one.values[0], rebuilt - one.values
    scale = float((gains**2).sum())
    return float((off**2).sum()) / scale if scale else None


def _share(a: dict[Key, float], b: dict[Key, float]) -> float | None:
    return len(a.keys() & b.keys()) / len(a) if a else None
