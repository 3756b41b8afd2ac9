"""Whether a concept's reading follows the label when nothing else in the text changes."""

from collections import defaultdict
from dataclasses import dataclass

import torch

from conceptscope.hooks import Activations
from conceptscope.probes import Concept


@dataclass(frozen=True)
class Counterfactuals:
    """Over pairs of texts that differ in the label's factor only.

    higher: the share of pairs in which the positive text has the higher reading.
    rise: how much higher it is on average, in standard deviations of the readings.
    """

    n: int
    higher: float
    rise: float


def counterfactuals(concept: Concept, activations: Activations) -> Counterfactuals:
    """Compare the readings within each pair.

    Raises:
        ValueError: the activations have no pairs with both labels.
    """
    readings = concept.read(activations)[:, 0]
    pairs: dict[object, dict[object, int]] = defaultdict(dict)
    labels, numbers = activations.labels or [], activations.pairs or []
    for row, (label, number) in enumerate(zip(labels, numbers, strict=False)):
        pairs[number][label] = row
    low, high = concept.classes
    rises = [readings[rows[high]] - readings[rows[low]] for rows in pairs.values() if len(rows) == 2]
    if not rises:
        raise ValueError("no two texts are a pair with both labels: give activations of examples with pairs")
    risen = torch.stack(rises)
    return Counterfactuals(len(rises), float((risen > 0).double().mean()), float(risen.mean()))
