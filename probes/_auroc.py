"""The area under the ROC curve of held-out scores."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def fold_auroc(
    scores: Float[np.ndarray, "example k"],
    codes: Int[np.ndarray, " example"],
    fold: Int[np.ndarray, " example"],
) -> tuple[float, Float[np.ndarray, " example"]]:
    """The share of right orders among rows held out in the same fold, and each row's influence on it.

    Rows of different folds are never compared: their scores come from different fits, and pooling them
    puts a label that nothing determines below one half. With one column of scores it is the second class
    against the first; with more, each class against the rest, averaged. The sum of squared influences,
    summed by cluster first, estimates the variance.

    Raises:
        ValueError: no fold holds both a class and another one.

    Source: DeLong et al. 1988, Biometrics 44:837 (influences); Obuchowski 1997, Biometrics 53:567 (clusters).
    """
    columns = [1] if scores.shape[1] == 1 else range(scores.shape[1])
    parts = [_one_against_rest(scores[:, at], codes == code, fold) for at, code in enumerate(columns)]
    return float(np.mean([auroc for auroc, _ in parts])), np.mean([influence for _, influence in parts], 0)


def _one_against_rest(
    scores: Float[np.ndarray, " example"], positive: np.ndarray, fold: np.ndarray
) -> tuple[float, np.ndarray]:
    right, pairs = np.zeros(len(scores)), np.zeros(len(scores))
    for held in np.unique(fold):
        up, down = np.flatnonzero((fold == held) & positive), np.flatnonzero((fold == held) & ~positive)
        right[up], right[down] = _below(scores[up], scores[down]), _below(-scores[down], -scores[up])
        pairs[up], pairs[down] = len(down), len(up)
    total = pairs[positive].sum()
    if not total:
        raise ValueError("no fold holds examples of two classes: use fewer folds, or give finer groups")
    auroc = float(right[positive].sum() / total)
    return auroc, (right - auroc * pairs) / total


def _below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many of the others are below each value; equal ones count half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
