"""A game of few AND effects taken apart into AND and OR effects of least total magnitude."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, hstack

from conceptscope.analyses._fourier_screening import Support
from conceptscope.analyses._sparse_indices import Effects
from conceptscope.analyses._sparse_moebius import family, subsets


@dataclass(frozen=True)
class SparseAndOr:
    """AND and OR effects by their players; a set that is left out has zero.

    objective: the sum of their magnitudes without the empty set; bound: what no such sum is below; gap: how
    far the two are apart, relative.
    """

    and_effects: dict[Support, float] = field(repr=False)
    or_effects: dict[Support, float] = field(repr=False)
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """The relative distance to the optimum, at most."""
        return (self.objective - self.bound) / self.objective if self.objective else 0.0


def sparse_and_or(effects: Effects) -> SparseAndOr:
    """The AND and OR effects of least total magnitude that add up to a game of given AND effects.

    Both are sought among the subsets of its effects' players. The linear program is solved exactly; its dual
    gives the bound. OR effects of one player are counted as AND, and so is the empty set's.

    Raises:
        RuntimeError: the solver gives up.
    """
    sets = [chosen for chosen in family(tuple(effects)) if chosen]
    wide = [chosen for chosen in sets if len(chosen) > 1]
    target = np.array([effects.get(chosen, 0.0) for chosen in sets])
    constant: dict[Support, float] = {(): effects[()]} if effects.get((), 0.0) else {}
    if not wide:
        size = float(abs(target).sum())
        return SparseAndOr({**constant, **_nonzero(sets, target)}, {}, size, size)
    atoms: Any = hstack([eye_array(len(sets)), _or_matrix(sets, wide)], format="csc")
    both: Any = hstack([atoms, -atoms])
    scale = abs(target).max() or 1.0
    found: Any = linprog(np.ones(2 * atoms.shape[1]), A_eq=both, b_eq=target / scale, method="highs")
    if found.status != 0:
        raise RuntimeError(f"the linear program of {len(sets)} sets was not solved: {found.message}")
    weights = scale * (found.x[: atoms.shape[1]] - found.x[atoms.shape[1] :])
    dual = found.eqlin.marginals / max(1.0, float(abs(atoms.T @ found.eqlin.marginals).max()))
    ors = weights[len(sets) :]
    ands = target - atoms[:, len(sets) :] @ ors
    return SparseAndOr(
        {**constant, **_nonzero(sets, ands)},
        _nonzero(wide, ors),
        float(abs(ands).sum() + abs(ors).sum()),
        float(dual @ target),
    )


def _or_matrix(sets: list[Support], wide: list[Support]) -> csr_array:
    """[set, wide set]: the AND effects of "any of them": +1 for subsets of odd size, -1 for even ones."""
    at = {chosen: row for row, chosen in enumerate(sets)}
    entries = [
        (at[chosen], column, -((-1.0) ** len(chosen)))
        for column, players in enumerate(wide)
        for chosen in subsets(players)[1:]
    ]
    rows, columns, values = zip(*entries, strict=True)
    return csr_array((values, (rows, columns)), shape=(len(sets), len(wide)))


def _nonzero(sets: list[Support], values: np.ndarray) -> dict[Support, float]:
    least = 1e-9 * abs(values).max() if len(values) else 0.0
    return {chosen: float(value) for chosen, value in zip(sets, values, strict=True) if abs(value) > least}
