"""Whether a model takes a number that was moved along the helix for the other number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from conceptscope.analyses._helix_numbers import check_whole
from conceptscope.analyses._helix_result import NumberHelix
from conceptscope.analyses._helix_shift import helix_shift, number_steps
from conceptscope.analyses._number_texts import last_digit
from conceptscope.hooks import Examples, HookedModel, Intervention, Site, generate, intervene
from conceptscope.hooks._random import numpy_generator, torch_generator
from conceptscope.probes._intervals import clustered_interval
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NUMBER = re.compile(r"\s*(\d+)")
_TOKENS = 4
"""Digits of a sum, and the space before it, where each is a token."""


@dataclass(frozen=True)
class ShiftScore:
    """One way to move the number. moved: the share of sums with the new number; kept: with the old one.

    low, high: the 95 % interval of moved. length: of the step, on average, in activation units.
    """

    name: str
    moved: float
    low: float
    high: float
    kept: float
    length: float


@dataclass(frozen=True, eq=False, repr=False)
class ShiftCheck:
    """The share of sums that each way to move a number moves; see `check_helix_shift`.

    right: the share of sums that the untouched model gets right.
    """

    site: Site
    n_prompts: int
    right: float
    scores: tuple[ShiftScore, ...]
    source: dict[str, str] = field(default_factory=dict)
    generator_state: UInt8[Tensor, " byte"] | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row a way to move the number: moved, low, high, kept, length."""
        import pandas as pd

        return pd.DataFrame([vars(score) for score in self.scores]).set_index("name")

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each way to move the number, with its 95 % interval."""
        from conceptscope.analyses._helix_plot import plot_shifts

        return plot_shifts(self, ax)

    def __repr__(self) -> str:
        moved = ", ".join(f"{score.name} {score.moved:.2f}" for score in self.scores)
        return f"ShiftCheck({self.site}, {self.n_prompts} sums, {self.right:.2f} right; moved: {moved})"

    def _repr_html_(self) -> str:
        about = (
            f"{self.n_prompts} sums, of which the untouched model gets {self.right:.2f} right; {self.site}"
        )
        return table_html(about, self.to_frame().reset_index())


def check_helix_shift(
    model: HookedModel,
    helix: NumberHelix,
    prompt: str = "{a} plus {b} is",
    *,
    n: int = 60,
    generator: int | torch.Generator = 0,
) -> ShiftCheck:
    """Move the first number of sums along the helix, and see whether the model then adds the other number.

    Beside it: nothing; the means of the two numbers themselves, which no basis can beat by much; and steps
    along the polynomial and the line, brought to the length of the helix's. The claim that the model uses a
    helix needs more sums moved by it than by the polynomial.

    prompt: with {a} and {b}; the text that follows is read as a number. The sums of both numbers with b are
        within the numbers that were fitted. n: how many sums are drawn.

    Raises:
        ValueError: a prompt without {a} or {b}; no sums within the numbers; a helix of another model.

    Source: arXiv 2502.00873 (patching with the fit); the controls are this project's.

    >>> import conceptscope as cs
    >>> model, numbers = cs.load_model("tinyworld"), cs.number_examples(["{} plus"], range(50))
    >>> acts = cs.capture(model, numbers, "embed", position="span")
    >>> helix = cs.fit_number_helix(acts, periods=[2, 5, 10])
    >>> check = cs.check_helix_shift(model, helix, n=10)
    >>> [score.name for score in check.scores if score.moved > 0.5]
    ['means']
    """
    check_whole("n", n, 1)
    if "{a}" not in prompt or "{b}" not in prompt:
        raise ValueError(f"the prompt needs {{a}} and {{b}}, as '{{a}} plus {{b}} is' has, got {prompt!r}")
    source = torch_generator(generator)
    state = source.get_state()
    a, b, other = _drawn(helix, n, numpy_generator(source))
    examples = _sums(prompt, a, b)
    untouched = _answers(model, examples)
    scores = [_scored("nothing", untouched, a + b, other + b, 0.0)]
    for basis in ("means", "helix", "polynomial", "line"):
        shift = helix_shift(helix, a, other, basis=basis, positions="span")
        length = torch.linalg.vector_norm(number_steps(helix, a, other, basis), dim=1).mean().item()
        scores.append(_scored(basis, _answers(model, examples, shift), a + b, other + b, length))
    return ShiftCheck(helix.site, n, scores[0].kept, tuple(scores), {"prompt": prompt}, state)


def _drawn(
    helix: NumberHelix, n: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " example"], Int[np.ndarray, " example"], Int[np.ndarray, " example"]]:
    """Numbers, what is added to each, and other numbers, so that no sum is above the greatest number."""
    known = np.array(helix.numbers)
    least = known[0]
    if least < 0 or 2 * least > known[-1]:
        raise ValueError(
            f"no two of the numbers {least} to {known[-1]} have a sum among them: fit smaller ones"
        )
    b = rng.choice(known[known <= (known[-1] - least) // 2], n)
    ends = [known[known + add <= known[-1]] for add in b]
    pairs = np.array([rng.choice(end, 2, replace=False) for end in ends])
    return pairs[:, 0], b, pairs[:, 1]


def _sums(prompt: str, a: Int[np.ndarray, " example"], b: Int[np.ndarray, " example"]) -> Examples:
    texts = [prompt.replace("{b}", str(add)) for add in b.tolist()]
    spans = [last_digit(text, number, "{a}") for text, number in zip(texts, a.tolist(), strict=True)]
    return Examples(
        [text.replace("{a}", str(number)) for text, number in zip(texts, a.tolist(), strict=True)],
        spans=spans,
    )


def _answers(model: HookedModel, examples: Examples, *shifts: Intervention) -> Int[np.ndarray, " example"]:
    """The number that follows each prompt, -1 where none does."""
    with intervene(model, *shifts):
        said = generate(model, examples, max_new_tokens=_TOKENS)
    found = [_NUMBER.match(text) for text in said]
    return np.array([int(match.group(1)) if match else -1 for match in found])


def _scored(
    name: str,
    said: Int[np.ndarray, " example"],
    old: Int[np.ndarray, " example"],
    new: Int[np.ndarray, " example"],
    length: float,
) -> ShiftScore:
    moved: Bool[np.ndarray, " example"] = said == new
    share = float(moved.mean())
    rows = np.arange(len(moved))
    low, high = clustered_interval(share, moved - share, rows, guess=len(moved))
    return ShiftScore(name, share, low, high, float((said == old).mean()), length)
