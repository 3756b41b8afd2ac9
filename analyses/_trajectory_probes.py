"""Probes that read concepts in the activations of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from conceptscope.analyses._trajectory_measured import Measured, Shares
from conceptscope.analyses._trajectory_plan import Known, Plan
from conceptscope.hooks import Activations, HookedModel, Site, capture
from conceptscope.hooks._positions import Position
from conceptscope.probes import Concept, Extractor
from conceptscope.probes._folds import assign_folds

REFITTED, FIXED = "refitted probes", "fixed probes"


@dataclass(frozen=True, eq=False)
class Probes:
    """For each concept a probe of all its examples, and one that did not see the examples of each fold."""

    whole: Mapping[str, Concept]
    without: Mapping[str, tuple[Concept, ...]]


@dataclass(frozen=True, eq=False)
class ProbeReader:
    """Reads the concepts in a model's activations, by probes fitted to these and by fixed ones.

    fold: for each concept the fold in which each of its own examples is held out.
    fixed: probes of another checkpoint; None reads by refitted ones only.
    """

    plan: Plan
    extractor: Extractor
    site: Site | str | None
    position: Position
    folds: int
    fold: Mapping[str, Int[np.ndarray, " own"]]
    fixed: Probes | None = None

    def __call__(self, model: HookedModel) -> dict[str, Measured]:
        """The coordinates by refitted and, if there are any, by fixed probes."""
        x = self._activations(model)
        probes = {REFITTED: self._fitted(x)} | ({} if self.fixed is None else {FIXED: self.fixed})
        return {kind: Measured.of(self.plan, self._read(one, x), self.folds) for kind, one in probes.items()}

    def fitted(self, model: HookedModel) -> Probes:
        """Probes of a model's activations.

        Raises:
            ValueError: activations in which a concept cannot be found.
        """
        return self._fitted(self._activations(model))

    def _activations(self, model: HookedModel) -> Float[Tensor, "row d"]:
        acts = capture(model, list(self.plan.texts), site_of(model, self.site), position=self.position)
        (x,) = acts.values()
        if len(x) != len(self.plan.texts):
            raise ValueError(
                f"position={self.position!r} gives several tokens of a text, and a trajectory reads one: "
                "take 'last', 'first', 'mean' or an index"
            )
        return x.flatten(1)

    def _fitted(self, x: Float[Tensor, "row d"]) -> Probes:
        whole, without = {}, {}
        for one in self.plan.concepts:
            everywhere = np.ones(len(one.rows), dtype=bool)
            whole[one.name] = self._fit(one, x, everywhere)
            kept = (self.fold[one.name] != number for number in range(self.folds))
            without[one.name] = tuple(self._fit(one, x, rows) for rows in kept)
        return Probes(whole, without)

    def _fit(self, one: Known, x: Float[Tensor, "row d"], kept: Bool[np.ndarray, " own"]) -> Concept:
        rows = one.rows[kept]
        examples = self.plan.examples[one.name]
        acts = Activations(
            {"resid_post.0": x[torch.from_numpy(rows)]},
            [one.values[code] for code in one.codes[kept]],
            groups=self.plan.cluster[rows].tolist(),
            pairs=None if examples.pairs is None else examples[kept].pairs,
        )
        return self.extractor.fit(acts)

    def _read(self, probes: Probes, x: Float[Tensor, "row d"]) -> Shares:
        """All of a row's share goes to the value that the probe takes it for."""
        found = {}
        for one in self.plan.concepts:
            codes = _predicted(probes.whole[one.name], x)
            for number, probe in enumerate(probes.without[one.name]):
                held_out = one.rows[self.fold[one.name] == number]
                codes[held_out] = _predicted(probe, x[torch.from_numpy(held_out)])
            found[one.name] = np.eye(len(one.values))[codes]
        return found


def _predicted(concept: Concept, x: Float[Tensor, "row d"]) -> Int[np.ndarray, " row"]:
    number = {value: code for code, value in enumerate(concept.classes)}
    return np.array([number[value] for value in concept.predict(x)])


def drawn_folds(plan: Plan, folds: int, seed: int) -> dict[str, Int[np.ndarray, " own"]]:
    """For each concept the fold of each of its own examples, the same in every checkpoint.

    Raises:
        ValueError: too few groups for the folds.
    """
    found = {}
    for one in plan.concepts:
        try:
            found[one.name] = assign_folds(one.codes, plan.cluster[one.rows], one.values, folds, seed % 2**32)
        except ValueError as error:
            raise ValueError(f"the examples of {one.name!r}: {error}") from error
    return found


def site_of(model: HookedModel, site: Site | str | None) -> Site:
    """The one site that is meant; None is the residual stream half-way up.

    Raises:
        ValueError: no such site, or a name of several.
    """
    if site is None:
        return Site("resid_post", model.n_layers // 2)
    found = model.resolve_sites(site)
    if len(found) != 1:
        raise ValueError(
            f"{str(site)!r} is {len(found)} sites, and a trajectory is read at one: '{found[-1]}'"
        )
    return found[0]
