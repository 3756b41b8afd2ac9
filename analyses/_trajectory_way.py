"""How concepts are read in a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from conceptscope.analyses._trajectory_measured import Measured
from conceptscope.analyses._trajectory_outputs import OutputReader, found_tokens, given_tokens
from conceptscope.analyses._trajectory_plan import Plan
from conceptscope.analyses._trajectory_probes import ProbeReader, drawn_folds
from conceptscope.hooks import HookedModel, Site
from conceptscope.hooks._fingerprint import fingerprint
from conceptscope.hooks._positions import Position
from conceptscope.probes import Extractor
from conceptscope.probes._extractor import check_extractor

Of = Literal["activations", "outputs"]
Reader = Callable[[HookedModel], dict[str, Measured]]


@dataclass(frozen=True, eq=False)
class Way:
    """The settings of a trajectory that say what is read of a model; see `trajectory`.

    Raises:
        TypeError: something that is no extractor, or tokens that are no mapping.
        ValueError: of= is neither, tokens for activations, or an extractor for labels that are numbers.
    """

    of: Of
    extractor: Extractor
    site: Site | str | None
    position: Position
    tokens: Mapping[str, Mapping[Any, Any]] | None
    folds: int
    seed: int

    def __post_init__(self) -> None:
        if self.of not in ("activations", "outputs"):
            raise ValueError(f"of= is 'activations' or 'outputs', got {self.of!r}")
        check_extractor(self.extractor)
        if getattr(self.extractor, "continuous", False):
            raise ValueError(
                f"{self.extractor!r} predicts numbers: a trajectory needs one that finds classes"
            )
        if self.tokens is not None and not isinstance(self.tokens, Mapping):
            raise TypeError(
                f"tokens= is a mapping from concepts to the tokens of each value, got {self.tokens!r}"
            )
        if self.of == "activations" and self.tokens is not None:
            raise ValueError("tokens= are of values in the outputs: leave them out, or take of='outputs'")

    def settings(self, plan: Plan) -> dict[str, Any]:
        """What the numbers depend on, as JSON has it."""
        about = {
            "of": self.of,
            "concepts": {name: fingerprint(one) for name, one in plan.examples.items()},
            "prompts": {name: fingerprint(one) for name, one in plan.prompts.items()},
        }
        if self.of == "outputs":
            return about | {"tokens": None if self.tokens is None else repr(sorted(self.tokens.items()))}
        return about | {
            "extractor": repr(self.extractor),
            "site": None if self.site is None else str(self.site),
            "position": repr(self.position),
            "folds": self.folds,
            "seed": self.seed,
        }

    def by_last(self, plan: Plan, last: HookedModel) -> tuple[Reader, dict[str, str]]:
        """A reader, with what the last checkpoint fixes: probes, or tokens, or why there are none."""
        if self.of == "outputs" and self.tokens is None:
            tokens, unknown = found_tokens(last, plan)
            return OutputReader(plan, tokens), unknown
        reader = self.by_itself(plan, last)
        if isinstance(reader, ProbeReader):
            reader = replace(reader, fixed=reader.fitted(last))
        return reader, {}

    def by_itself(self, plan: Plan, model: HookedModel) -> OutputReader | ProbeReader:
        """A reader that needs no other checkpoint.

        Raises:
            ValueError: outputs without tokens.
        """
        if self.of == "activations":
            fold = drawn_folds(plan, self.folds, self.seed)
            return ProbeReader(plan, self.extractor, self.site, self.position, self.folds, fold)
        if self.tokens is None:
            raise ValueError(
                "a run that is not over has no last checkpoint, by which the tokens of each value could be "
                "known: give tokens={concept: {value: [...]}}"
            )
        return OutputReader(plan, given_tokens(model, plan, self.tokens))
