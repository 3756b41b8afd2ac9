"""Whether environments determine affine concepts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import pandas as pd

Environment = dict[int, float]

_ROUNDING = 1e-9
"""Entries of v' B below this share of B's column are rounding."""


@dataclass(frozen=True, eq=False, repr=False)
class IdentifiabilityReport:
    """Whether environments determine the concepts that they condition on, and what is missing.

    With S_e the concepts of environment e, b its values and s2 the variances, M_ek is 1 / s2_k and B_ek is
    b_k / s2_k for k in S_e, and both are 0 elsewhere. The concepts are determined, up to their order, scales
    and shifts, if

    (i) the rank of M is the number of concepts, and some v with v'M = 0 has no zero in v'B; and
    (ii) for any two concepts some environment conditions on the first and not on the second.

    environments and variances: as given, the latter for each concept.
    """

    environments: tuple[Environment, ...]
    variances: Environment

    @property
    def concepts(self) -> tuple[int, ...]:
        """The concepts that some environment conditions on, in order."""
        return tuple(self.variances)

    @cached_property
    def _supports(self) -> Float[np.ndarray, "environment concept"]:
        """1 where an environment conditions on a concept: M without its variances, of the same null space."""
        return np.array([[float(k in values) for k in self.concepts] for values in self.environments])

    @cached_property
    def rank(self) -> int:
        """The rank of M."""
        return int(np.linalg.matrix_rank(self._supports))

    @property
    def null_dimension(self) -> int:
        """How many independent v there are with v'M = 0."""
        return len(self.environments) - self.rank

    @cached_property
    def strength(self) -> tuple[float, ...]:
        """For each concept the greatest |(v'B)_k| of all v with v'M = 0 and |v| = 1, in 1 / valuations."""
        b = np.array([[e.get(k, 0.0) / s2 for k, s2 in self.variances.items()] for e in self.environments])
        null = np.linalg.svd(self._supports)[0][:, self.rank :]
        entries, rounding = np.linalg.norm(null.T @ b, axis=0), _ROUNDING * np.linalg.norm(b, axis=0)
        return tuple(np.where(entries > rounding, entries, 0.0).tolist())

    @property
    def pattern(self) -> tuple[bool, ...]:
        """For each concept whether (v'B)_k is not zero, for the v with v'M = 0 that has the fewest zeros.

        That is any v but those of a set of measure zero: each entry that is not zero for some v is so for
        almost every one.
        """
        return tuple(entry > 0 for entry in self.strength)

    @cached_property
    def unseparated(self) -> tuple[tuple[int, int], ...]:
        """The pairs (k, j) for which no environment conditions on k without j."""
        return tuple(
            (k, j)
            for k in self.concepts
            for j in self.concepts
            if k != j and all(j in values for values in self.environments if k in values)
        )

    @property
    def pair_condition(self) -> bool:
        """Condition (ii): any two concepts are told apart."""
        return not self.unseparated

    @property
    def identifiable(self) -> bool:
        """Whether both conditions hold."""
        return self.rank == len(self.concepts) and all(self.pattern) and self.pair_condition

    @cached_property
    def missing(self) -> tuple[Environment, ...]:
        """Environments with which the concepts would be determined, none of them superfluous; () if they are.

        Their values are examples: others than those that environments already have serve, but for single
        exceptions. Where each environment conditions on one concept, so do these.
        """
        from conceptscope.analyses._missing_environments import missing_environments

        return missing_environments(self)

    def with_environments(self, more: Iterable[Environment]) -> IdentifiabilityReport:
        """The report on these environments and more, of the same concepts."""
        return IdentifiabilityReport((*self.environments, *more), self.variances)

    @property
    def verdict(self) -> str:
        """The result in a sentence or two."""
        which = named_concepts(self.concepts)
        if self.identifiable:
            return f"{self._given} and the base set determine {which}, up to order, scale and shift."
        why, wanted = "; ".join(self._reasons()), ", ".join(map(str, self.missing))
        return f"{self._given} and the base set do not determine {which}: {why}. Add {wanted} and they do."

    @property
    def _given(self) -> str:
        return f"{len(self.environments)} environment{'s' if len(self.environments) != 1 else ''}"

    def _reasons(self) -> list[str]:
        found = []
        if self.rank < len(self.concepts):
            found.append(f"the rank of M is {self.rank} and must be {len(self.concepts)}")
        weak = [k for k, nonzero in zip(self.concepts, self.pattern, strict=True) if not nonzero]
        if weak:
            found.append(f"v'B is zero at {named_concepts(weak)} for every v with v'M = 0")
        found += [
            f"no environment conditions on concept {k} without concept {j}" for k, j in self.unseparated
        ]
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row a concept: its values, its strength, and the concepts that it is never without."""
        import pandas as pd

        columns = {
            "concept": list(self.concepts),
            "values": [[e[k] for e in self.environments if k in e] for k in self.concepts],
            "nonzero": list(self.pattern),
            "strength": list(self.strength),
            "never_without": [[j for i, j in self.unseparated if i == k] for k in self.concepts],
        }
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        which = f"{self._given}, {named_concepts(self.concepts)}"
        ranks = f"rank {self.rank}, null dimension {self.null_dimension}"
        if self.identifiable:
            return f"IdentifiabilityReport({which}: identifiable; {ranks})"
        wanted = ", ".join(map(str, self.missing))
        return f"IdentifiabilityReport({which}: not identifiable, missing {wanted}; {ranks})"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return f"<p>{escape(self.verdict)}</p>{table}"


def identifiability(
    environments: Sequence[Mapping[int, float]], *, variance: float | Mapping[int, float]
) -> IdentifiabilityReport:
    """Whether environments, each the {concept: value} that it conditions on, determine their concepts.

    The base set is not among the environments. variance: of the noise with which they condition, in squared
    units of the valuations, one number or one for each concept; the verdict does not depend on it. A concept
    that no environment conditions on is not in question.

    Raises:
        TypeError: concepts that are not whole numbers.
        ValueError: no environments, one without concepts, values that are not finite, or a variance that is
            missing or not positive and finite.

    Source: Rajendran et al., arXiv 2402.09236 (environment diversity).

    >>> import conceptscope as cs
    >>> report = cs.identifiability([{0: 1.0}, {0: -1.0}, {1: 1.0}], variance=0.25)
    >>> report.identifiable, report.rank, report.pattern, report.missing
    (False, 2, (True, False), ({1: -1.0},))
    """
    given = tuple(_checked(number, values) for number, values in enumerate(environments))
    if not given:
        raise ValueError("there are no environments: give the {concept: value} of each")
    concepts = sorted({k for values in given for k in values})
    known = variance if isinstance(variance, Mapping) else dict.fromkeys(concepts, variance)
    if lacking := [k for k in concepts if k not in known]:
        raise ValueError(f"variance lacks {named_concepts(lacking)}: give one for each, or one number")
    variances = {k: float(known[k]) for k in concepts}
    for k, value in variances.items():
        if not 0 < value < math.inf:
            raise ValueError(f"a variance must be positive and finite, got {value} for concept {k}")
    return IdentifiabilityReport(given, variances)


def named_concepts(concepts: Sequence[int]) -> str:
    """As in "concepts 0, 1 and 2"."""
    *first, last = map(str, concepts)
    return f"concepts {', '.join(first)} and {last}" if first else f"concept {last}"


def _checked(number: int, values: Mapping[int, float]) -> Environment:
    if not values:
        raise ValueError(f"environment {number} conditions on no concept: it is a base set, leave it out")
    for concept, value in values.items():
        if isinstance(concept, bool) or not isinstance(concept, int | np.integer):
            raise TypeError(f"concepts are whole numbers, got {concept!r} in environment {number}")
        if not math.isfinite(value):
            raise ValueError(
                f"environment {number} has the value {value} for concept {concept}: give a number"
            )
    return {int(concept): float(value) for concept, value in values.items()}
