"""What a report measures, one part after the other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import Any, TypeVar

from conceptscope._drawn_texts import drawn_evenly, n_words
from conceptscope.analyses import (
    ConceptCard,
    Convexity,
    DoseResponse,
    concept_card,
    convexity,
    dose_response,
    interactions,
)
from conceptscope.analyses._found_effects import FoundEffects
from conceptscope.hooks import Activations, Examples, HookedModel, Site
from conceptscope.hooks._progress import progress_bar
from conceptscope.hooks._prompts import Text
from conceptscope.probes import Concept, Extractor, ProbeSweep, ValueSweep, sweep
from conceptscope.probes._probe_sweep import SiteScore
from conceptscope.probes._value_sweep import ValueScore

PERMUTATIONS = 200
PROMPTS = 12
SHORT = 12
"""Words of a sentence that is taken apart: of a longer one the effects are too many to be read."""
LONGEST = 40
"""Words above which even the shortest text is left whole: it would take minutes, and hundreds of effects."""
MASKS = 1024
NEIGHBOURS = 10
MANY_ROWS, SOURCES = 1000, 50
"""From so many rows on, paths start at so many rows of each class."""
MANY_NUMBERS = 10

Found = TypeVar("Found")


@dataclass(frozen=True)
class Plan:
    """What is measured on what; ``left_out`` collects why a part could not be."""

    model: HookedModel
    examples: Examples
    extractor: Extractor
    strengths: Sequence[float]
    max_new_tokens: int
    directions: int
    folds: int
    sentences: int
    generator: int
    progress: bool
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def continuous(self) -> bool:
        """Whether the labels are numbers to predict, not classes."""
        return bool(getattr(self.extractor, "continuous", False))

    @property
    def settings(self) -> dict[str, Any]:
        """What a reader needs to do the same again."""
        return {
            "extractor": repr(self.extractor),
            "folds": self.folds,
            "permutations": 0 if self.continuous else PERMUTATIONS,
            "random directions": self.directions,
            "tokens written": self.max_new_tokens,
            "generator": self.generator,
        }

    def check(self) -> None:
        """Refuse at once what would fail after minutes.

        Raises:
            ValueError: no labels, many numbers as classes, or a number out of range.
        """
        labels = self.examples.labels
        if labels is None:
            raise ValueError(
                "the examples have no labels, and a report is of what the labels say: give labels"
            )
        values = set(labels)
        numbers = all(isinstance(one, Real) and not isinstance(one, bool) for one in values)
        if numbers and len(values) > MANY_NUMBERS and not self.continuous:
            raise ValueError(
                f"the labels are {len(values)} different numbers, and {self.extractor!r} takes labels for "
                "classes: choose an extractor for numbers, Ridge() (--extractor ridge)"
            )
        if not all(math.isfinite(strength) for strength in self.strengths):
            raise ValueError(f"strengths must be finite, got {list(self.strengths)}")
        if not self.strengths or len(set(self.strengths)) < len(self.strengths):
            raise ValueError(f"expected strengths, each once, got {list(self.strengths)}")
        if self.sentences < 0 or self.max_new_tokens < 1:
            raise ValueError(
                f"sentences must be 0 or more and max_new_tokens 1 or more, got {self.sentences} and "
                f"{self.max_new_tokens}"
            )

    def sweep(self, acts: Activations) -> ProbeSweep | ValueSweep:
        """Held-out scores at every site."""
        shuffles: dict[str, Any] = {} if self.continuous else {"permutations": PERMUTATIONS}
        with progress_bar("probes", len(acts), self.progress) as done:
            found: ProbeSweep | ValueSweep = sweep(
                acts, self.extractor, folds=self.folds, generator=self.generator, **shuffles
            )
            done(len(acts))
        return found

    def concept(self, found: ProbeSweep | ValueSweep, site: str | Site | None, towards: Any) -> Concept:
        """The direction that the report is about.

        Raises:
            KeyError: no such site or class.
        """
        if site is None:
            chosen = self._middle(found)
        elif (chosen := Site.parse(site)) not in found.concepts:
            raise KeyError(f"no {chosen} among the sites: there are {', '.join(map(str, found.concepts))}")
        concept = found.concepts[chosen]
        if not concept.classes:
            return concept
        names = {str(label): label for label in concept.classes}
        return concept[concept.classes[-1] if towards is None else names.get(str(towards), towards)]

    def _middle(self, found: ProbeSweep | ValueSweep) -> Site:
        """The site nearest to half-way up among those that are not surely below the best."""
        half = self.model.n_layers // 2
        scored = [(_quality(one), one.site) for one in found.scores]
        best = max(value for (value, _), _ in scored)
        good = [
            (abs((site.layer or 0) - half), -value, site) for (value, high), site in scored if high >= best
        ]
        return min(good)[-1]

    def drawn_prompts(self, prompts: Examples | Sequence[Text] | None) -> Examples:
        """Those given, or some of the examples' own texts."""
        if prompts is not None:
            return Examples.of(prompts)
        rows = drawn_evenly(self.examples, range(len(self.examples)), PROMPTS, self.generator)
        return self.examples[rows]

    def card(self, concept: Concept, prompts: Examples) -> ConceptCard | None:
        """What can be read, beside what acting on it causes."""
        if self.continuous:
            self.left_out["card"] = "there are no classes to tell apart: the labels are numbers"
            return None

        def measure() -> ConceptCard:
            with progress_bar("read and used", 1, self.progress) as done:
                found = concept_card(
                    self.model,
                    concept,
                    self.examples,
                    prompts,
                    extractor=self.extractor,
                    folds=self.folds,
                    max_new_tokens=self.max_new_tokens,
                    directions=self.directions,
                    generator=self.generator,
                )
                done(1)
            return found

        return self._unless_refused("card", measure)

    def doses(self, concept: Concept, prompts: Examples, telling: bool) -> DoseResponse | None:
        """Effect and harm by strength. telling: whether the next tokens tell the classes apart."""
        labels = [label == concept.classes[-1] for label in self.examples.labels or []] if telling else None
        return self._unless_refused(
            "steering",
            lambda: dose_response(
                self.model,
                prompts,
                concept.add,
                self.strengths,
                measure=replace(self.examples, labels=labels) if telling else None,
                max_new_tokens=self.max_new_tokens,
                directions=self.directions,
                progress=self.progress,
                generator=self.generator,
            ),
        )

    def convexity(self, acts: Activations) -> Convexity | None:
        """How convex the classes are at every site; neighbours are at most half of the smallest class."""
        if self.continuous:
            self.left_out["convexity"] = "there are no classes to be convex: the labels are numbers"
            return None
        smallest = min(Counter(acts.labels or [0]).values())
        return self._unless_refused(
            "convexity",
            lambda: convexity(
                acts,
                k=max(min(NEIGHBOURS, smallest // 2), 2),
                null="permute",
                permutations=PERMUTATIONS,
                sources_per_class=SOURCES if acts.n_rows > MANY_ROWS else None,
                progress=self.progress,
                generator=self.generator,
            ),
        )

    def taken_apart(self, concept: Concept) -> tuple[FoundEffects, ...]:
        """The interactions that make the reading of some short texts of the examples."""
        lengths = [n_words(text) for text in self.examples.texts]
        if min(lengths) > LONGEST and self.sentences:
            self.left_out["interactions"] = f"no text has {LONGEST} words or fewer to be taken apart"
            return ()
        longest = max(SHORT, min(lengths))
        short = [row for row, length in enumerate(lengths) if length <= longest]
        found = []
        for row in drawn_evenly(self.examples, short, self.sentences, self.generator):
            measure = partial(self._interactions, self.examples.texts[row], concept)
            one = self._unless_refused("interactions", measure)
            found += [] if one is None else [one]
        return tuple(found)

    def _interactions(self, text: Text, concept: Concept) -> FoundEffects:
        found: FoundEffects = interactions(
            self.model, text, concept, budget=MASKS, generator=self.generator, progress=self.progress
        )
        return found

    def _unless_refused(self, part: str, measure: Callable[[], Found]) -> Found | None:
        """What is measured, or nothing, and why in ``left_out``: the other parts are not lost for it."""
        try:
            return measure()
        except ValueError as error:
            self.left_out[part] = str(error)
            return None


def _quality(score: SiteScore | ValueScore) -> tuple[float, float]:
    """What sites are compared by, and the end of its interval."""
    return (score.auroc, score.auroc_high) if isinstance(score, SiteScore) else (score.r2, score.r2_high)
