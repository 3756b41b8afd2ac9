"""Steering vector against steering matrix, where the right direction depends on the context.

`python benchmarks/steering_matrix.py` prints two tables of means over three seeds, on questions that were
held out:
1. a world with known offsets: the mean cosine of the direction to the true offset;
2. valence in tinyworld at the adjective, which "not" turns: the mean cosine of the direction to the
   difference within each pair of texts, and the share of texts that the last layer reads as they were pushed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from _tables import VERDICTS, show
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from conceptscope.hooks import (
    Activations,
    Examples,
    HookedModel,
    Intervention,
    capture,
    intervene,
    load_model,
)
from conceptscope.probes import MeanDifference, SteeringMatrix
from conceptscope.worlds.steering import topic_questions
from conceptscope.worlds.tinyworld import examples

SEEDS, N, STRENGTH = range(3), 1200, 3.0
MATRICES = {
    "matrix": SteeringMatrix(),
    "row-normalised": SteeringMatrix(row_normalize=True),
    "ridge .1": SteeringMatrix(ridge=0.1),
}
METHODS = ("vector", *MATRICES)
BARS: dict[float, dict[str, tuple[float, float]]] = {
    1.0: {"vector": (0.99, 1.0), "matrix": (0.99, 1.0)},
    0.5: {"vector": (0.70, 0.80), "matrix": (0.98, 1.0)},
    0.0: {"vector": (0.35, 0.45), "matrix": (0.98, 1.0)},
}


def mean_cosine(directions: Float[Tensor, "example d"], true: Float[Tensor, "example d"]) -> float:
    return float(torch.cosine_similarity(directions, true, dim=-1).mean())


def known_offsets(mix: float, seed: int) -> dict[str, float]:
    world = topic_questions(2 * N, mix=mix, generator=seed)
    acts = Activations({"z.0.0": world.x}, world.labels, groups=world.questions, contexts=world.contexts)
    fit, held_out = acts[: 2 * N], slice(2 * N, None, 2)
    contexts, offsets = world.contexts[held_out], world.offsets[held_out]
    found = {name: method.fit(fit).direction(contexts) for name, method in MATRICES.items()}
    found["vector"] = MeanDifference().fit(fit).steering
    return {name: mean_cosine(directions, offsets) for name, directions in found.items()}


def valence(model: HookedModel, of: str) -> Examples:
    """Pairs of texts of either valence, half of them negated, with the adjective as the span."""
    data = Examples(**examples("valence", n=2000, generator=1))
    negated = torch.tensor(["not" in text.split() for text in data.texts])
    contexts = {
        "negated or not": torch.nn.functional.one_hot(negated.long()),
        "mean embedding": capture(model, data, "embed", position="mean")["embed"],
    }
    spans = [re.search(r"\w+(?=\.)", text).span() for text in data.texts]
    return replace(data, contexts=contexts[of], spans=spans)


def pair_differences(acts: Activations, site: str) -> Float[Tensor, "example d"]:
    """For each row the positive minus the negative row of its pair."""
    sign = torch.tensor([1.0 if label == "positive" else -1.0 for label in acts.labels or []])
    pairs = torch.tensor(acts.pairs)
    same = (pairs == pairs[:, None]).float()
    return same @ (sign[:, None] * acts[site])


def turned(model: HookedModel, data: Examples, site: str, seed: int) -> dict[str, tuple[float, float]]:
    """Each method's mean cosine, and the share that the last layer reads as pushed, on held-out templates."""
    fit, held_out = data.split(test=0.3, generator=seed)
    there, new = (capture(model, part, site, position="span") for part in (fit, held_out))
    judge = MeanDifference().fit(capture(model, fit, f"resid_post.{model.n_layers - 1}"))
    true = pair_differences(new, site)

    def moved(push: Callable[[float], Intervention]) -> float:
        shares = []
        for strength in (STRENGTH, -STRENGTH):
            with intervene(model, push(strength)):
                readings = judge.read(capture(model, held_out, judge.site))
            shares.append((readings * strength > 0).float().mean())
        return float(torch.stack(shares).mean())

    vector = MeanDifference().fit(there)
    found = {"vector": (mean_cosine(vector.steering, true), moved(lambda s: vector.add(s, positions="span")))}
    for name, method in MATRICES.items():
        fitted = method.fit(there)
        push = lambda s, of=fitted: of.add(s, contexts=held_out.contexts, positions="span")  # noqa: E731
        found[name] = mean_cosine(fitted.direction(held_out.contexts), true), moved(push)
    return found


def over_seeds(runs: Iterable[dict[str, Any]]) -> dict[str, Tensor]:
    listed = list(runs)
    return {name: torch.tensor([run[name] for run in listed]).mean(0) for name in METHODS}


def main() -> None:
    table = Table("shared offset", *METHODS, "bars", title="Known offsets: mean cosine to the true one")
    for mix, bars in BARS.items():
        means = over_seeds(known_offsets(mix, seed) for seed in SEEDS)
        missed = [name for name, (low, high) in bars.items() if not low <= means[name] <= high]
        verdict = ", ".join(f"{VERDICTS[False]}: {name}" for name in missed) or VERDICTS[True]
        table.add_row(f"{mix:g}", *(f"{means[name]:.3f}" for name in METHODS), verdict)
    show(table)

    title = "Valence in tinyworld: mean cosine, and share read as pushed"
    table, model = Table("contexts", "site", *METHODS, title=title), load_model("tinyworld")
    for of in ("negated or not", "mean embedding"):
        data = valence(model, of)
        for site in ("embed", "resid_post.0"):
            means = over_seeds(turned(model, data, site, seed) for seed in SEEDS)
            table.add_row(of, site, *("{:.3f}  {:.3f}".format(*means[name].tolist()) for name in METHODS))
    show(table)


if __name__ == "__main__":
    main()
