"""Whether a model has a capability for which it cannot be prompted yet."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._hidden_capability_model import Promptable, promptable
from conceptscope.analyses._hidden_capability_result import Asked, HiddenCapability
from conceptscope.analyses._hidden_capability_target import Target
from conceptscope.analyses._null_directions import shaped_directions
from conceptscope.hooks import Examples, Site
from conceptscope.hooks._random import drawn_seed, torch_generator

ELICITATIONS = ("naive", "latent", "overprompt", "patch")
_NONE = "there are no checkpoints: give at least one pair of a step and a model"


def hidden_capability(
    checkpoints: Iterable[tuple[int, Any]],
    target: Target,
    *,
    elicit: Sequence[str] = ELICITATIONS,
    grid: Sequence[float] = (0.5, 1.0, 2.0, 4.0),
    site: Site | str | None = None,
    max_new_tokens: int = 8,
    threshold: float = 0.8,
    consecutive: int = 1,
    families: int = 19,
    generator: int | torch.Generator = 0,
) -> HiddenCapability:
    """When a run's models can be brought to a combination of concepts, and when prompts suffice.

    A checkpoint is asked in several ways, and succeeds where this share of the target's prompts is answered
    with ALL concepts right:

    - naive: by the prompts alone.
    - latent: with the latents moved along the concepts' mean differences, of combinations that were trained.
      Each concept is moved by 0 or a number of the grid, times its mean difference: every combination but 0
      everywhere is an attempt, and one must succeed.
    - overprompt: with embeddings multiplied by 1 plus a number of the grid, one of which must succeed.
    - patch: with the last checkpoint's embedding, and no attempts.

    Beside the latent attempts stand families of random directions: in each, every concept has a random
    direction in the place of its own, of the same length and with the activations' covariance, and the
    attempts are as many and of the same sizes. The capability is hidden if a latent attempt succeeds at a
    checkpoint that is right on what was trained, before the first one that prompts suffice for, and if in
    that time the share of successful attempts is greater along the concepts than in any of the families.

    checkpoints: (step, model) by step; a model is a HookedModel, or one that has the methods of Promptable.
        A list or `checkpoints(...)`; without "patch", anything that can be iterated.
    site: where a HookedModel's latents are; by default the output of its middle layer. Means are over a
        prompt's tokens, and all tokens are moved, those that are written too: a concept may be needed later
        than at the prompt's last token.
    threshold, consecutive: a time T is that of the first of so many successful checkpoints running.
    families: 19 allow a p of .05. Take more where few silent checkpoints have a success: the verdict then
        hangs on the draw.

    Raises:
        KeyError: an unknown elicitation, or a target's criterion that raises one.
        TypeError: checkpoints that are no models.
        ValueError: no checkpoints, no naive or latent elicitation, a target without trained combinations,
            checkpoints that cannot be sliced where the last one's embedding is wanted, or a setting out of
            range.

    Source: Park et al., arXiv 2406.19370, section 4.3; the random directions are ours.

    >>> import conceptscope as cs
    >>> from conceptscope.worlds import planted
    >>> target = cs.Target(
    ...     planted.prompts("small blue"),
    ...     {"size": lambda text: "small" in text, "colour": lambda text: "blue" in text},
    ...     {
    ...         (): planted.prompts("large red"),
    ...         ("size",): planted.prompts("small red"),
    ...         ("colour",): planted.prompts("large blue"),
    ...     },
    ... )
    >>> found = cs.hidden_capability(planted.checkpoints(range(0, 80, 10)), target, grid=[0.5, 1.0])
    >>> found.t_latent, found.t_over, found.t_naive, found.hidden
    (20, 40, 70, True)
    """
    _check(target, elicit, grid, threshold, consecutive, families)
    state = torch_generator(generator).get_state()
    seed, late = drawn_seed(generator), None
    if "patch" in elicit:
        late = promptable(_last(checkpoints), site, max_new_tokens)
    asked = []
    for step, model in checkpoints:
        subject = promptable(model, site, max_new_tokens)
        asked.append(_ask(int(step), subject, late, target, elicit, grid, families, seed))
    if not asked:
        raise ValueError(_NONE)
    asked.sort(key=lambda one: one.step)
    return HiddenCapability(
        asked=tuple(asked),
        concepts=target.concepts,
        threshold=threshold,
        consecutive=consecutive,
        attempts=(len(grid) + 1) ** len(target.concepts) - 1,
        families=families,
        generator_state=state,
    )


def _check(
    target: Target,
    elicit: Sequence[str],
    grid: Sequence[float],
    threshold: float,
    consecutive: int,
    families: int,
) -> None:
    unknown = [way for way in elicit if way not in ELICITATIONS]
    if unknown:
        raise KeyError(f"unknown elicitation {unknown[0]!r}: there are {', '.join(ELICITATIONS)}")
    if not {"naive", "latent"} <= set(elicit):
        raise ValueError(
            f"elicit must name 'naive' and 'latent', which the verdict compares, got {list(elicit)}"
        )
    if not target.train:
        raise ValueError("the target has no trained combinations: give Target(..., train=...)")
    if not grid or not all(math.isfinite(amount) and amount > 0 for amount in grid):
        raise ValueError(f"the grid must hold positive numbers, got {list(grid)}")
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, got {threshold!r}")
    for name, number in (("consecutive", consecutive), ("families", families)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number from 1 on, got {number!r}")


def _last(checkpoints: Any) -> Any:
    if not hasattr(checkpoints, "__getitem__"):
        raise ValueError(
            f"the last checkpoint's embedding cannot be had from {type(checkpoints).__name__}, which gives "
            "each checkpoint once: pass a list, or leave 'patch' out of elicit"
        )
    for _, model in checkpoints[-1:]:
        return model
    raise ValueError(_NONE)


def _ask(
    step: int,
    subject: Promptable,
    late: Promptable | None,
    target: Target,
    elicit: Sequence[str],
    grid: Sequence[float],
    families: int,
    seed: int,
) -> Asked:
    """One checkpoint, asked in every way."""
    prompts = Examples.of(target.prompts)
    shifts = _shifts(subject, target, grid, families, seed)
    nothing = torch.zeros_like(shifts[0, :1])
    written = subject.shifted(prompts, torch.cat([nothing, *shifts]))
    naive, *rest = [target.share_right(texts) for texts in written]
    shares = torch.tensor(rest, dtype=torch.float64).view(1 + families, -1)
    over = patch = None
    if "overprompt" in elicit:
        scaled = subject.overprompted(prompts, [1 + amount for amount in grid])
        over = max(target.share_right(texts) for texts in scaled)
    if late is not None:
        patch = target.share_right(_plain(subject.patched(late), prompts))
    return Asked(step, _competence(subject, target), naive, shares[0], shares[1:], over, patch)


def _competence(subject: Promptable, target: Target) -> float:
    """The least share of a trained combination's prompts that is answered rightly."""
    return min(
        target.share_right(_plain(subject, Examples.of(prompts)), combination)
        for combination, prompts in target.train.items()
    )


def _plain(subject: Promptable, prompts: Examples) -> list[str]:
    return subject.overprompted(prompts, [1.0])[0]


def _shifts(
    subject: Promptable, target: Target, grid: Sequence[float], families: int, seed: int
) -> Float[Tensor, "family attempt d"]:
    """The attempts along the concepts' directions, and after these those of each family of random ones.

    The random numbers are the same at each checkpoint, so that a family follows the activations as the
    concepts' directions do.
    """
    data = {combination: Examples.of(prompts) for combination, prompts in target.train.items()}
    means = {combination: subject.latents(prompts).double().mean(0) for combination, prompts in data.items()}
    own = torch.stack(
        [
            torch.stack([means[have] - means[lack] for have, lack in target.contrasts(concept)]).mean(0)
            for concept in target.concepts
        ]
    )
    everything = Examples(
        [text for prompts in (Examples.of(target.prompts), *data.values()) for text in prompts.texts]
    )
    random = shaped_directions(subject.surroundings(everything), families * len(own), seed).to(own)
    random = random.view(families, *own.shape) * own.norm(dim=1)[:, None]
    doses = [dose for dose in itertools.product((0.0, *grid), repeat=len(own)) if any(dose)]
    directions = torch.cat([own[None], random])
    return torch.einsum("ac,fcd->fad", torch.tensor(doses).to(own), directions)
