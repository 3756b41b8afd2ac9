"""The next tokens by which a model tells two classes of texts apart."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from conceptscope.analyses._token_measures import TokenLogOdds
from conceptscope.hooks import Examples, HookedModel, next_token_logits
from conceptscope.hooks._clusters import clusters
from conceptscope.hooks._prompts import special_ids
from conceptscope.probes._rows import as_float64

_MOST, _FALSE, _LEAST = 10, 0.05, 0.01
"""Tokens on either side at most, the share of false ones, and the least share of the greatest difference."""


def telling_tokens(
    model: HookedModel, examples: Examples, positive: Bool[np.ndarray, " example"]
) -> TokenLogOdds | None:
    """The tokens likelier after positive texts against those likelier after negative ones, by probability.

    None where the model goes on alike: where no token on one of the sides is surely likelier, at a false
    discovery rate of 5 %, texts of one group or pair counting together, or none by a hundredth of the
    greatest difference. Tokens that no text contains, such as padding, are left out.

    Source: Benjamini and Hochberg 1995, Journal of the Royal Statistical Society B 57:289.
    """
    p = as_float64(next_token_logits(model, examples)).softmax(-1).cpu().numpy()
    cluster = np.asarray(clusters(len(examples), examples.groups, examples.pairs))
    difference, chance = _differences(p, positive, cluster)
    sure = _discovered(chance) & (np.abs(difference) >= _LEAST * np.abs(difference).max())
    sure[list(_said_by_no_text(model, len(sure)))] = False
    sides: list[list[int]] = []
    for sign in (1, -1):
        found = np.flatnonzero(sure & (sign * difference > 0))
        order = np.argsort(-sign * difference[found], kind="stable")
        sides.append(found[order[:_MOST]].tolist())
    return TokenLogOdds.of(model, *sides) if all(sides) else None


def _said_by_no_text(model: HookedModel, n: int) -> set[int]:
    """Tokens that frame a text, but for its end, which a model does predict; and the unknown one."""
    framing = special_ids(model.tokenizer) - {model.tokenizer.eos_token_id}
    return {token for token in {*framing, model.tokenizer.unk_token_id} if token is not None and token < n}


def _differences(
    p: Float[np.ndarray, "example vocab"],
    positive: Bool[np.ndarray, " example"],
    cluster: Int[np.ndarray, " example"],
) -> tuple[Float[np.ndarray, " vocab"], Float[np.ndarray, " vocab"]]:
    """Mean probability of each token after positive texts less that after negative ones, and its p-value."""
    from scipy.stats import t

    means = [p[~positive].mean(0), p[positive].mean(0)]
    influence = np.where(positive[:, None], p - means[1], means[0] - p)
    influence /= np.where(positive, positive.sum(), (~positive).sum())[:, None]
    n = int(cluster.max()) + 1
    sums = np.zeros((n, p.shape[1]))
    np.add.at(sums, cluster, influence)
    error = np.sqrt((sums**2).sum(0) * n / max(n - 1, 1))
    difference = means[1] - means[0]
    away = np.divide(np.abs(difference), error, out=np.zeros_like(error), where=error > 0)
    return difference, 2 * t.sf(away, max(n - 2, 1))


def _discovered(chance: Float[np.ndarray, " vocab"]) -> Bool[np.ndarray, " vocab"]:
    """Which p-values are discoveries at the false discovery rate."""
    ordered = np.sort(chance)
    below = np.flatnonzero(ordered <= _FALSE * np.arange(1, len(ordered) + 1) / len(ordered))
    return np.asarray(chance <= (ordered[below[-1]] if len(below) else -1.0))
