"""All extractors on a confounded label, and on one that nothing determines.

`python benchmarks/extractors.py` prints two tables.

`tinyworld/sentiment_confounded`: in .85 of the texts size goes with sentiment. 400 texts are fitted on. The
true directions come from 2000 other texts, told with either sentiment and nothing else changed: what an
intervention should add (steering) is the mean difference within these pairs; what tells the sentiments apart
when size is free (reading) is that difference over the covariance within the classes, shrunk.

Columns: cosine of the reading and of the steering direction to the true ones; accuracy on counterfactual
texts, which differ from ones seen in the sentiment alone; accuracy on texts in which size contradicts
sentiment. The set has no pairs: extractors that need pairs get texts of either label matched at random
within a template. `tinyworld/coin`: the AUROC of a sweep, of all layers the one furthest from .5.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from _tables import show
from rich.table import Table

from conceptscope.hooks import Activations, Examples, HookedModel, capture, load_examples, load_model
from conceptscope.probes import (
    AffineContrastive,
    Concept,
    ContrastConsistent,
    Extractor,
    Leace,
    LinearDiscriminant,
    Logistic,
    MeanDifference,
    PairwiseValues,
    PrincipalDirection,
    Ridge,
    SteeringMatrix,
    sweep,
)
from conceptscope.worlds import tinyworld

Fit = Callable[[Activations, str], Concept]


def as_numbers(extractor: Extractor) -> Fit:
    """Negative 0, positive 1."""

    def fit(acts: Activations, site: str) -> Concept:
        found = extractor.fit(acts.with_labels([float(label == "positive") for label in acts.labels]), site)
        return with_boundary(found, acts, site)

    return fit


def with_boundary(concept: Concept, acts: Activations, site: str) -> Concept:
    """The same directions with sentiment as classes and the boundary between the class means."""
    readings = concept.valuation(acts.at(site))[:, 0]
    positive = torch.tensor([label == "positive" for label in acts.labels])
    middle = (readings[positive].mean() + readings[~positive].mean()) / 2
    return Concept(
        concept.reading,
        concept.steering,
        middle[None],
        classes=("negative", "positive"),
        site=concept.site,
        name=concept.name,
    )


def matched(acts: Activations) -> Activations:
    """Pairs of a negative and a positive text of one template, drawn at random; the rest is left out."""
    rng = random.Random(0)
    rows: dict[str, dict[str, list[int]]] = {}
    for row, (group, label) in enumerate(zip(acts.groups, acts.labels, strict=True)):
        rows.setdefault(group, {"negative": [], "positive": []})[label].append(row)
    chosen: list[int] = []
    for sides in rows.values():
        for side in sides.values():
            rng.shuffle(side)
        for pair in zip(sides["negative"], sides["positive"], strict=False):
            chosen += rng.sample(pair, 2)
    some = acts[chosen]
    return Activations(some, some.labels, pairs=[n // 2 for n in range(len(chosen))], source=some.source)


def on_pairs(extractor: Extractor) -> Fit:
    return lambda acts, site: extractor.fit(matched(acts), site)


def steering_matrix(acts: Activations, site: str) -> Concept:
    """Its direction at the mean of the negative texts, with templates as questions."""
    sides = set(zip(acts.groups, acts.labels, strict=True))
    whole = acts[[{(group, "negative"), (group, "positive")} <= sides for group in acts.groups]]
    context = whole.at(site)[[label == "negative" for label in whole.labels]].mean(0)
    return SteeringMatrix().fit(whole, site).at(context)


def affine_contrastive(acts: Activations, site: str) -> Concept:
    """Either sentiment as an environment of the one concept, all texts as the base."""
    both = Activations(
        {site: torch.cat([acts.at(site), acts.at(site)])},
        [*acts.labels, *["base"] * acts.n_rows],
        source=acts.source,
    )
    targets = {"negative": 0, "positive": 0}
    return with_boundary(AffineContrastive(targets=targets).fit(both, site), acts, site)


FITS: dict[str, Fit] = {
    "MeanDifference": MeanDifference().fit,
    "LinearDiscriminant": LinearDiscriminant().fit,
    "LinearDiscriminant(.1)": LinearDiscriminant(0.1).fit,
    "Logistic": Logistic().fit,
    "Logistic, C chosen": Logistic(C=(0.001, 0.01, 0.1, 1.0, 10.0)).fit,
    "Leace": Leace().fit,
    "Ridge, labels 0 and 1": as_numbers(Ridge()),
    "PairwiseValues, 0 and 1": as_numbers(PairwiseValues()),
    "PrincipalDirection, matched": on_pairs(PrincipalDirection()),
    "ContrastConsistent, matched": on_pairs(ContrastConsistent()),
    "SteeringMatrix at the mean": steering_matrix,
    "AffineContrastive": affine_contrastive,
}

ON_COINS: dict[str, Extractor] = {
    "MeanDifference": MeanDifference(),
    "LinearDiscriminant": LinearDiscriminant(),
    "Logistic": Logistic(),
    "Leace": Leace(),
}

ON_PAIRED_COINS: dict[str, Extractor] = {
    "PrincipalDirection": PrincipalDirection(),
    "ContrastConsistent": ContrastConsistent(),
}


@dataclass(frozen=True)
class Truth:
    """True directions at a site, and texts that tell a concept from its confound."""

    reading: torch.Tensor
    steering: torch.Tensor
    counterfactual: Activations
    contradicting: Activations


def texts(n: int, seed: int, keep: Callable[[tinyworld.Text], bool]) -> Iterator[tinyworld.Text]:
    rng = random.Random(seed)
    while n:
        for text in tinyworld.sample(256, generator=rng):
            factors = text.factors
            plain = factors["text"] == "story" and not factors["negation"] and not factors["irony"]
            if n and plain and factors["size"] in ("small", "large") and keep(text) and cut(text):
                n -= 1
                yield text


def cut(text: tinyworld.Text) -> str:
    """The text before the first word that sentiment determines."""
    marks = [mark.position for mark in text.marks if mark.factor in ("sentiment", "negation", "irony")]
    return " ".join(text.words[: marks[0]]) if marks else ""


def contradicts(text: tinyworld.Text) -> bool:
    return (text.factors["size"] == "large") != (text.factors["sentiment"] == "positive")


def capture_all(model: HookedModel, some: list[tinyworld.Text]) -> Activations:
    labels = [str(text.factors["sentiment"]) for text in some]
    return capture(model, Examples([cut(text) for text in some], labels))


def truths(model: HookedModel) -> dict[str, Truth]:
    told = list(texts(2000, 5, lambda text: True))
    both = [version for text in told for version in (text, tinyworld.counterfactual(text, "sentiment"))]
    free = capture_all(model, both)
    seen = list(texts(300, 6, lambda text: True))
    turned = capture_all(model, [tinyworld.counterfactual(text, "sentiment") for text in seen])
    against = capture_all(model, list(texts(300, 7, contradicts)))
    found = {}
    for site in free.sites:
        whitened = LinearDiscriminant().fit(free, site)
        found[str(site)] = Truth(whitened.reading[0], whitened.steering[0], turned, against)
    return found


def score(concept: Concept, truth: Truth) -> list[float]:
    def right(acts: Activations) -> float:
        found = concept.predict(acts.at(concept.site))
        return float(np.mean([a == b for a, b in zip(found, acts.labels, strict=True)]))

    return [
        float(concept.cosine(truth.reading)),
        float(concept.cosine(truth.steering, of="steering")),
        right(truth.counterfactual),
        right(truth.contradicting),
    ]


def confounded(model: HookedModel, fits: Mapping[str, Fit]) -> dict[str, dict[str, list[float]]]:
    """For each extractor and site the four columns."""
    acts = capture(model, load_examples("tinyworld/sentiment_confounded"))
    true = truths(model)
    return {
        name: {site: score(fit(acts, site), truth) for site, truth in true.items()}
        for name, fit in fits.items()
    }


def coins(model: HookedModel) -> dict[str, tuple[float, bool]]:
    """For each extractor the AUROC furthest from .5, and whether every interval contains .5."""
    acts = capture(model, load_examples("tinyworld/coin"))
    pairs = matched_coins(acts)
    found = {name: furthest(acts, extractor) for name, extractor in ON_COINS.items()}
    return found | {f"{name}, matched": furthest(pairs, one) for name, one in ON_PAIRED_COINS.items()}


def matched_coins(acts: Activations) -> Activations:
    named = {"heads": "negative", "tails": "positive"}
    return matched(acts.with_labels([named[label] for label in acts.labels]))


def furthest(acts: Activations, extractor: Extractor) -> tuple[float, bool]:
    frame = sweep(acts, extractor, controls=False).to_frame()
    worst = frame.auroc[(frame.auroc - 0.5).abs().idxmax()]
    return float(worst), bool(((frame.auroc_low <= 0.5) & (frame.auroc_high >= 0.5)).all())


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    model = load_model("tinyworld")
    table = Table(title="tinyworld/sentiment_confounded, by layer 0 / 1 / 2 / 3 (resid_post)")
    for column in ("extractor", "cosine: reading", "cosine: steering", "counterfactuals", "contradicting"):
        table.add_column(column)
    for name, sites in confounded(model, FITS).items():
        columns = np.array(list(sites.values())).T
        table.add_row(name, *(" / ".join(f"{value:.2f}" for value in column) for column in columns))
    show(table)
    table = Table(title="tinyworld/coin: AUROC, held out")
    for column in ("extractor", "furthest from .5", "all intervals contain .5"):
        table.add_column(column)
    for name, (auroc, contained) in coins(model).items():
        table.add_row(name, f"{auroc:.3f}", "yes" if contained else "[red]no[/red]")
    show(table)


if __name__ == "__main__":
    main()
