"""One learned baseline for several texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from conceptscope.analyses._baseline_learning import learn
from conceptscope.analyses._baselines import Baseline, fixed_baseline
from conceptscope.analyses._players import TextPlayers
from conceptscope.analyses._text_game import played
from conceptscope.hooks import HookedModel
from conceptscope.hooks._prompts import Text
from conceptscope.hooks._random import torch_generator


def learned_baseline(
    model: HookedModel,
    texts: Sequence[Text],
    targets: Any,
    *,
    players: TextPlayers = "words",
    fixed: Sequence[str] | None = None,
    steps: int = 100,
    generator: int | torch.Generator = 0,
) -> Baseline:
    """An embedding that stands for absent players in all of some texts: a baseline= for `interactions`.

    Arguments as there; steps: of Adam, each on one of the texts. ``losses`` of the result are those before
    and after every tenth step.

    Raises:
        TypeError, ValueError: what `interactions` refuses; no text with two players, or a target without
            gradients.

    Source: Ren et al., arXiv 2305.01939.

    >>> import conceptscope as cs
    >>> model, target = cs.load_model("tinyworld"), cs.LogOdds("cried")
    >>> texts = ["the dog was not happy. it", "the cat was never sad. it"]
    >>> found = cs.learned_baseline(model, texts, target, steps=20)
    >>> found.losses[-1] < found.losses[0]
    True
    >>> shown = cs.interactions(model, texts[0], target, baseline=found)
    """
    begun = fixed_baseline(model, "mean")
    made = [played(model, text, targets, players, fixed, begun) for text in texts]
    return learn(made, steps, torch_generator(generator))
