"""Correlations of features with terms, as they are and with what all other terms explain taken from both."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

_ROUNDING = 1e-10


def partial_correlations(
    features: Float[np.ndarray, "example component"],
    terms: Float[np.ndarray, "example term"],
    weights: Float[np.ndarray, " example"],
) -> Float[np.ndarray, "component term"]:
    """Of each feature with each term, given all others, examples counted so many times.

    nan where the weights leave too few examples to tell the terms apart, or where they explain all of a
    feature. What is not to be taken away by its mean needs a term of ones.
    """
    root = np.sqrt(weights)[:, None]
    columns = root * terms
    basis, triangle = np.linalg.qr(columns / np.linalg.norm(columns, axis=0))
    if np.abs(np.diag(triangle)).min() < _ROUNDING:
        return np.full((features.shape[1], terms.shape[1]), np.nan)
    wanted = root * features
    inside = basis.T @ wanted
    left = np.square(wanted - basis @ inside).sum(0)
    # A row of the pseudo-inverse points along what the other terms leave of its term.
    rows = np.linalg.inv(triangle)
    along = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ inside
    whole = left + np.square(along)
    nothing = whole <= _ROUNDING**2 * np.square(wanted).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Float[np.ndarray, "term component"] = np.where(nothing, np.nan, along / np.sqrt(whole))
    return found.T


def plain_correlations(
    features: Float[np.ndarray, "example component"], terms: Float[np.ndarray, "example term"]
) -> Float[np.ndarray, "component term"]:
    """Pearson's r of each feature with each term; nan for a constant one."""
    x, y = (values - values.mean(0) for values in (features, terms))
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Float[np.ndarray, "component term"] = (
            x.T @ y / np.linalg.norm(x, axis=0)[:, None] / np.linalg.norm(y, axis=0)
        )
    return found
