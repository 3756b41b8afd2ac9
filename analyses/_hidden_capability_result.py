"""When a capability is there, and when it can be prompted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from jaxtyping import Float, UInt8
from torch import Tensor

from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Asked:
    """A checkpoint, asked in every way: shares of prompts answered with all concepts right.

    train: the least of the trained combinations. latent (attempt,): along the concepts' directions; random
    (family, attempt): along random ones. over: of the best factor; over and patch are None if left out.
    """

    step: int
    train: float
    naive: float
    latent: Float[Tensor, " attempt"]
    random: Float[Tensor, "family attempt"]
    over: float | None
    patch: float | None


@dataclass(frozen=True, eq=False, repr=False)
class HiddenCapability:
    """When a run's models could be brought to a combination of concepts, and when prompts sufficed.

    A time is the step of the first of ``consecutive`` successful checkpoints running; None for never. They
    are found for themselves; the verdict looks at checkpoints that are right on what was trained.
    """

    asked: tuple[Asked, ...]
    concepts: tuple[str, ...]
    threshold: float
    consecutive: int
    attempts: int
    families: int
    generator_state: UInt8[Tensor, " byte"]

    @property
    def steps(self) -> tuple[int, ...]:
        """The step of each checkpoint."""
        return tuple(one.step for one in self.asked)

    @property
    def t_train(self) -> int | None:
        """When all trained combinations were answered rightly."""
        return self._time([self._enough(one.train) for one in self.asked])

    @property
    def t_naive(self) -> int | None:
        """When prompts sufficed."""
        return self._time([self._enough(one.naive) for one in self.asked])

    @property
    def t_latent(self) -> int | None:
        """When some shift along the concepts' directions did it."""
        return self._time([self._enough(one.latent.max()) for one in self.asked])

    @property
    def t_over(self) -> int | None:
        """When some overprompt did it."""
        return self._time([one.over is not None and self._enough(one.over) for one in self.asked])

    @property
    def t_patch(self) -> int | None:
        """When the last checkpoint's embedding did it."""
        return self._time([one.patch is not None and self._enough(one.patch) for one in self.asked])

    @property
    def t_random(self) -> tuple[int | None, ...]:
        """For each family of random directions, when some shift along them did it."""
        return tuple(
            self._time([self._enough(one.random[family].max()) for one in self.asked])
            for family in range(self.families)
        )

    @property
    def silent(self) -> tuple[int, ...]:
        """The steps that were right on what was trained, before prompts sufficed for the target."""
        end = self.t_naive
        return tuple(
            one.step for one in self.asked if self._enough(one.train) and (end is None or one.step < end)
        )

    @property
    def since(self) -> int | None:
        """The first silent step at which some shift along the concepts' directions did it."""
        silent = self.silent
        return self._time([one.step in silent and self._enough(one.latent.max()) for one in self.asked])

    @property
    def latent_rate(self) -> float | None:
        """The share of successful attempts along the concepts' directions, of all silent steps."""
        hits = self._hits()
        return None if hits is None else hits[0]

    @property
    def null_rate(self) -> float | None:
        """The share of successful attempts along random directions, of all silent steps; None without any."""
        hits = self._hits()
        return None if hits is None else sum(hits[1:]) / self.families

    @property
    def null_rate_at_first(self) -> float | None:
        """The share of successful attempts along random directions at the step `since`; None without one."""
        first = next((one for one in self.asked if one.step == self.since), None)
        return None if first is None else self._share(first.random)

    @property
    def p(self) -> float:
        """How probable so great a latent rate is if concepts' directions are as random ones."""
        hits = self._hits()
        if hits is None:
            return 1.0
        return (1 + sum(rate >= hits[0] for rate in hits[1:])) / (1 + self.families)

    @property
    def hidden(self) -> bool:
        """Whether the capability was there before prompts sufficed, and random directions did less well."""
        return self.since is not None and self.p == 1 / (1 + self.families)

    @property
    def verdict(self) -> str:
        """The result in a sentence."""
        what = f"{' and '.join(self.concepts)} together"
        if self.t_train is None:
            return f"Nothing can be said of {what}: no checkpoint is right on what was trained."
        if self.t_naive is not None and not self.silent:
            return (
                f"Not hidden: {what} can be prompted for as soon as what was trained, at step {self.t_naive}."
            )
        until = "never" if self.t_naive is None else f"from step {self.t_naive} on"
        if self.since is None:
            return (
                f"Not hidden: {what} can be prompted for {until}, and shifts of the latents do it no sooner."
            )
        found = (
            f"shifts of the latents bring about {what} from step {self.since} on, prompts {until}; in that "
            f"time {self.latent_rate:.1%} of {self.attempts} shifts succeed, and {self.null_rate:.1%} along "
            f"random directions of equal norm ({self.null_rate_at_first:.1%} at step {self.since}; "
            f"p = {self.p:.2g}, {self.families} families)"
        )
        return f"Hidden: {found}." if self.hidden else f"Not shown to be hidden: {found}."

    def to_frame(self) -> pd.DataFrame:
        """One row a checkpoint: shares of prompts with all concepts right, of the best attempt where several.

        random is the mean of the families' best; latent_hits and random_hits are the shares of attempts that
        reach the threshold.
        """
        import pandas as pd

        return pd.DataFrame(
            {
                "step": one.step,
                "train": one.train,
                "naive": one.naive,
                "latent": float(one.latent.max()),
                "overprompt": one.over,
                "patch": one.patch,
                "random": float(one.random.amax(1).mean()),
                "latent_hits": self._share(one.latent),
                "random_hits": self._share(one.random),
                "silent": one.step in self.silent,
            }
            for one in self.asked
        ).dropna(axis=1, how="all")

    def plot(self, ax: Axes | None = None) -> Axes:
        """The shares by step, a line for each way of asking; the steps are shaded where it is hidden."""
        from conceptscope.analyses._hidden_capability_plot import plot_hidden_capability

        return plot_hidden_capability(self, ax)

    def __repr__(self) -> str:
        return f"HiddenCapability({len(self.asked)} checkpoints: {self.verdict})"

    def _repr_html_(self) -> str:
        about = f"Shares of prompts with all concepts right; a success is {self.threshold:g} or more"
        return f"<p><b>{escape(self.verdict)}</b></p>{table_html(about, self.to_frame())}"

    def _enough(self, share: float | Tensor) -> bool:
        return bool(share >= self.threshold - 1e-9)

    def _share(self, shares: Float[Tensor, "*attempt"]) -> float:
        return float((shares >= self.threshold - 1e-9).double().mean())

    def _time(self, successes: Sequence[bool]) -> int | None:
        runs = range(len(successes) - self.consecutive + 1)
        first = (at for at in runs if all(successes[at : at + self.consecutive]))
        return next((self.asked[at].step for at in first), None)

    def _hits(self) -> list[float] | None:
        """The share of successful attempts, along the concepts' directions and for each family."""
        silent = [one for one in self.asked if one.step in self.silent]
        if not silent:
            return None
        own = sum(self._share(one.latent) for one in silent) / len(silent)
        return [
            own,
            *(sum(self._share(one.random[f]) for one in silent) / len(silent) for f in range(self.families)),
        ]
