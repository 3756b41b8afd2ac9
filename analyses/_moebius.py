"""Fast Moebius and zeta transforms over the subsets of n players."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def moebius(values: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """The AND (Harsanyi) effects of values given for all 2^n masks, in O(n 2^n).

    The effect of S is the sum over T in S of (-1)^(|S| - |T|) v(T); that of the empty mask is v(empty). Bit i
    of a mask's number says that player i is present.

    Raises:
        ValueError: a length that is no power of two, or values that are not finite.

    Source: arXiv 2305.01939, equation 1.

    >>> moebius(torch.tensor([0.0, 1.0, 2.0, 5.0])).tolist()
    [0.0, 1.0, 2.0, 2.0]
    """
    effects = _checked(values)
    for absent, present in _sides(effects):
        present.sub_(absent)
    return effects


def zeta(effects: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """The values whose AND effects are given: for every mask the sum of the effects of its subsets.

    Raises:
        ValueError: a length that is no power of two, or effects that are not finite.

    >>> zeta(torch.tensor([0.0, 1.0, 2.0, 2.0])).tolist()
    [0.0, 1.0, 2.0, 5.0]
    """
    values = _checked(effects)
    for absent, present in _sides(values):
        present.add_(absent)
    return values


def sum_supersets(effects: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """For every mask the sum of the effects of its supersets.

    Raises:
        ValueError: a length that is no power of two, or effects that are not finite.

    >>> sum_supersets(torch.tensor([0.0, 1.0, 2.0, 2.0])).tolist()
    [5.0, 3.0, 4.0, 2.0]
    """
    sums = _checked(effects)
    for absent, present in _sides(sums):
        absent.add_(present)
    return sums


def or_effects(values: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """The OR effects: what a mask adds to the value as soon as any of its players is present.

    The effect of a nonempty S is the sum over T in S of -(-1)^(|S| - |T|) v(N without T); that of the empty
    mask is v(empty), so that v(T) is the sum of the effects of the empty mask and of those that meet T.

    Raises:
        ValueError: a length that is no power of two, or values that are not finite.

    Source: arXiv 2304.13312; 2305.01939.

    >>> or_effects(torch.tensor([0.0, 1.0, 1.0, 1.0])).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    effects = 0.0 - moebius(values.flip(-1))  # a plain minus would make -0.0 of 0.0
    effects[..., 0] = values[..., 0]
    return effects


def or_values(effects: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """The values whose OR effects are given: of the empty mask, and of all masks that meet the mask.

    Raises:
        ValueError: a length that is no power of two, or effects that are not finite.

    >>> or_values(torch.tensor([0.0, 0.0, 0.0, 1.0])).tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    within = zeta(effects)
    return within[..., -1:] + within[..., :1] - within.flip(-1)


def orders(n: int) -> Int64[Tensor, " mask"]:
    """The number of players of each of the 2^n masks.

    >>> orders(2).tolist()
    [0, 1, 1, 2]
    """
    return _orders(n).clone()


def n_players(values: Float[Tensor, "*batch mask"]) -> int:
    """How many players have as many masks as the last axis is long.

    Raises:
        ValueError: a length that is no power of two.

    >>> n_players(torch.zeros(3, 8))
    3
    """
    n_masks = values.shape[-1] if values.ndim else 0
    if n_masks < 1 or n_masks & (n_masks - 1):
        raise ValueError(
            f"the last axis must have one value for each of the 2^n masks of n players, got {n_masks}, "
            "which is no power of two"
        )
    return n_masks.bit_length() - 1


def _checked(values: Float[Tensor, "*batch mask"]) -> Float64[Tensor, "*batch mask"]:
    """A contiguous copy in float64."""
    n_players(values)
    if not values.sum().isfinite() and not values.isfinite().all():  # the sum alone is quicker
        n_bad = int((~values.isfinite()).sum())
        raise ValueError(
            f"{n_bad} of {values.numel()} values are NaN or infinite, and would spread to every effect above "
            "them: give finite values, such as log-odds from logits in float32"
        )
    return values.detach().to(torch.float64, copy=True, memory_format=torch.contiguous_format)


def _sides(values: Float64[Tensor, "*batch mask"]) -> Iterator[tuple[Tensor, ...]]:
    """For each player, views of the values without it and of those with it."""
    for player in range(n_players(values)):
        if player == 1:  # pairs of numbers, two pairs apart: quicker moved as one complex number each
            yield torch.view_as_complex(values.view(-1, 2)).view(-1, 2).unbind(1)
        else:
            yield values.view(-1, 2, 2**player).unbind(1)


@functools.lru_cache(maxsize=32)
def _orders(n: int) -> Int64[Tensor, " mask"]:
    sizes = torch.zeros(1, dtype=torch.int64)
    for _ in range(n):
        sizes = torch.cat([sizes, sizes + 1])
    return sizes
