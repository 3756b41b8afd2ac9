"""Which Fourier supports of a game are strong, found from the values of random coalitions."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

Support = tuple[int, ...]
"""Players in increasing order: those whose signs are multiplied."""

MAX_ORDER = 6
"""The most players of a support."""

_FIRST, _GROWTH = 8, 1.3
_PER_PLAYER, _LEAST_POWER = 0.6, 1e-3


def signs(masks: Bool[Tensor, "mask player"]) -> Float64[Tensor, "mask player"]:
    """-1 where a player is present, +1 where it is absent."""
    return 1 - 2 * masks.double()


def characters(
    players: Float64[Tensor, "mask player"], supports: list[Support]
) -> Float64[Tensor, "mask support"]:
    """The product of the signs of each support's players; 1 for the empty one.

    >>> characters(torch.tensor([[1.0, -1.0, -1.0]], dtype=torch.float64), [(), (1,), (1, 2)])
    tensor([[ 1., -1.,  1.]], dtype=torch.float64)
    """
    padded = torch.cat([players, players.new_ones(len(players), 1)], 1)
    made = players.new_ones(len(players), len(supports))
    for factor in _padded(supports, players.shape[1]).unbind(1):
        made *= padded[:, factor]
    return made


def screen(
    players: Float64[Tensor, "mask player"], values: Float64[Tensor, " mask"], n_supports: int
) -> list[Support]:
    """Up to so many supports, the strongest in a greedy search; fewer where they explain all there is.

    Each round fits those found so far by least squares and looks at what is left: the mean of its product
    with every support that a single player makes of the empty one, of any one player or of one found, times
    what is expected of it (`expected`). The strongest are added, a third as many as there are. So a support
    is found only by way of one that has a player fewer and is found too, except for single players and
    pairs, all of which are looked at.
    """
    found: list[Support] = []
    n = players.shape[1]
    parents: list[Support] = [(), *((player,) for player in range(n))]
    made = characters(players, parents)
    columns = made[:, :1]
    gram = columns.T @ columns
    while len(found) < n_supports:
        weights = solved(gram, columns.T @ values)
        left = values - columns @ weights
        if left.std() <= 1e-9 * values.std():
            break
        powers = player_powers(found, weights[1:], n)
        children = made.T @ (left[:, None] * players * expected_share(powers))
        strength = expected(parents, powers)[:, None] * children
        n_new = min(max(_FIRST, int((_GROWTH - 1) * len(found))), n_supports - len(found))
        new = _strongest(parents, strength.abs(), found, n_new)
        if not new:
            break
        added = characters(players, new)
        beside = columns.T @ added
        gram = torch.cat([torch.cat([gram, beside], 1), torch.cat([beside.T, added.T @ added], 1)])
        columns = torch.cat([columns, added], 1)
        higher = [i for i, support in enumerate(new) if 1 < len(support) < MAX_ORDER]
        parents += [new[i] for i in higher]
        made = torch.cat([made, added[:, higher]], 1)
        found += new
    return found


def player_powers(
    supports: list[Support], coefficients: Float64[Tensor, " support"], n: int
) -> Float64[Tensor, " player"]:
    """The variance of all terms with a player, as a share of the largest; 1 where there are none."""
    taken = coefficients.new_zeros(n + 1)
    factors = _padded(supports, n)
    taken.index_put_((factors,), coefficients.square()[:, None].expand(factors.shape), accumulate=True)
    largest = taken[:n].max()
    return taken[:n] / largest if largest > 0 else torch.ones_like(taken[:n])


def expected(supports: list[Support], powers: Float64[Tensor, " player"]) -> Float64[Tensor, " support"]:
    """How large a coefficient is to be expected: the product of its players' shares."""
    shares = torch.cat([expected_share(powers), powers.new_ones(1)])
    return shares[_padded(supports, len(powers))].prod(1)


def expected_share(powers: Float64[Tensor, " player"]) -> Float64[Tensor, " player"]:
    """What a player more does to the size to be expected of a coefficient.

    Supports of fewer and of stronger players are the larger ones; the numbers were chosen on GPT-2 with
    random weights, and serve to order the search and the penalties alone.
    """
    return _PER_PLAYER * (powers + _LEAST_POWER) ** 0.25


def solved(gram: Float64[Tensor, "column column"], target: Float64[Tensor, " column"]) -> Tensor:
    """The solution of a positive definite system, also where rounding makes it singular."""
    factor = torch.linalg.cholesky(gram + 1e-12 * gram.diagonal().mean() * torch.eye(len(gram)).to(gram))
    return torch.cholesky_solve(target[:, None], factor)[:, 0]


def _strongest(
    parents: list[Support], strength: Float64[Tensor, "parent player"], found: list[Support], n_new: int
) -> list[Support]:
    """The strongest supports that a parent and a player make and that are new."""
    n = strength.shape[1]
    own = [parent * n + player for parent, support in enumerate(parents) for player in support]
    strength.view(-1)[own] = -1
    known, new = set(found), []
    # A support comes up once for each parent that it has, at most MAX_ORDER times.
    n_seen = min(strength.numel() - len(own), MAX_ORDER * (n_new + len(found)))
    for place in strength.flatten().topk(n_seen).indices.tolist():
        parent, player = divmod(place, n)
        child = tuple(sorted((*parents[parent], player)))
        if child not in known:
            known.add(child)
            new.append(child)
            if len(new) == n_new:
                break
    return new


def _padded(supports: list[Support], n: int) -> Int64[Tensor, "support factor"]:
    """The players of each support, filled up with n."""
    widest = max((len(support) for support in supports), default=0)
    rows = [(*support, *(n,) * (widest - len(support))) for support in supports]
    return torch.tensor(rows, dtype=torch.int64).reshape(len(supports), widest)
