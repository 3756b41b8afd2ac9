"""What a hidden capability is a capability of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from conceptscope.hooks import Examples
from conceptscope.hooks._examples import Text


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """A combination of concepts that training left out, and the combinations that it had.

    prompts: those of the left-out combination; their spans, if any, are what `overprompt` scales.
    success: for each concept, whether a text that the model wrote has the target's value of it.
    train: prompts of the other combinations, by the concepts of which they have the target's value: () for
        none, ("size",) for the size alone. Each concept needs two that differ in it alone: the difference
        of their activations' means is the direction along which it is elicited.

    Raises:
        KeyError: train names a concept that success does not have.
        TypeError: a criterion that cannot be called, or a combination that is not a tuple of concepts.
        ValueError: no concept, the target's own combination among the trained ones, one that is given twice,
            or a concept in which no two of them differ alone.

    >>> import conceptscope as cs
    >>> cs.Target(
    ...     ["a small blue"],
    ...     {"size": lambda text: "small" in text, "colour": lambda text: "blue" in text},
    ...     {(): ["a large red"], ("size",): ["a small red"], ("colour",): ["a large blue"]},
    ... )
    Target(size and colour, 1 prompt; trained: none, size, colour)
    """

    prompts: Examples | Sequence[Text]
    success: Mapping[str, Callable[[str], bool]]
    train: Mapping[Collection[str], Examples | Sequence[Text]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.success:
            raise ValueError("success names no concept: give at least one, with a function of the text")
        for name, criterion in self.success.items():
            if not callable(criterion):
                raise TypeError(f"success[{name!r}] must be a function of the text, got {criterion!r}")
        trained: dict[frozenset[str], Examples] = {}
        for given, prompts in self.train.items():
            combination = self._combination(given)
            if combination in trained:
                raise ValueError(f"train has the combination {given!r} twice: put its prompts together")
            trained[combination] = Examples.of(prompts)
        object.__setattr__(self, "prompts", Examples.of(self.prompts))
        object.__setattr__(self, "train", trained)
        if trained:
            for name in self.concepts:
                self.contrasts(name)

    @property
    def concepts(self) -> tuple[str, ...]:
        """The names of the concepts."""
        return tuple(self.success)

    def contrasts(self, concept: str) -> list[tuple[frozenset[str], frozenset[str]]]:
        """The trained combinations that differ in a concept alone: with the target's value and without.

        Raises:
            ValueError: there are none.
        """
        without = [frozenset(one) for one in self.train if concept not in one]
        pairs = [(one | {concept}, one) for one in without if one | {concept} in self.train]
        if not pairs:
            raise ValueError(
                f"no two combinations in train differ in {concept!r} alone, and its direction is the "
                f"difference of such two: give prompts for () and for ({concept!r},)"
            )
        return pairs

    def share_right(self, written: Sequence[str], wanted: Collection[str] | None = None) -> float:
        """The share of texts with all concepts right.

        wanted: the concepts of which a text must have the target's value, and of no others; by default all.
        """
        expected = frozenset(self.concepts if wanted is None else wanted)
        right = [
            all(bool(meets(text)) == (name in expected) for name, meets in self.success.items())
            for text in written
        ]
        return sum(right) / len(right)

    def _combination(self, given: Collection[str]) -> frozenset[str]:
        if isinstance(given, str):
            raise TypeError(
                f"a combination in train is a tuple of concepts, got {given!r}: write ({given!r},)"
            )
        combination = frozenset(given)
        unknown = sorted(combination - set(self.success))
        if unknown:
            raise KeyError(
                f"train has the concept {unknown[0]!r}, which success does not: "
                f"it has {', '.join(self.success)}"
            )
        if combination == frozenset(self.success):
            raise ValueError(
                "train has the target's own combination, "
                f"{' and '.join(self.success)}: leave it out, as training did"
            )
        return combination

    def __repr__(self) -> str:
        n = len(Examples.of(self.prompts).texts)
        named = [" and ".join(name for name in self.concepts if name in one) or "none" for one in self.train]
        trained = f"; trained: {', '.join(named)}" if named else ""
        return f"Target({' and '.join(self.concepts)}, {n} prompt{'s' * (n != 1)}{trained})"
