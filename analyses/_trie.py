"""The masked texts of a causal model as a trie: what two of them begin with is the same, and computed once.

Player j's chunk is its first token and what follows, up to the next player's first token; before the first
player comes what all texts share. A few players at a time make a block: all their chunks, present and absent,
one after the other in one sequence, in which a token sees nothing but its own way through the trie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

_BLOCK = 128
"""Tokens in a block: more would spend more on attention than they save on passes."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some players' part of the trie as one sequence of columns, behind a text's first ``start`` tokens.

    index: each column's number among the text's tokens, and behind them in a chain; owner: the player whose
    token it is, or -1; absent: whether the block says that this player is absent; sees: the columns that a
    column attends to.
    leaves: for each coalition of the block's players, the columns that make up its text; tails: in the last
    block, for each chain and coalition, the columns of the text's last token and of the chain.
    """

    players: range
    start: int
    ids: Int64[Tensor, " column"]
    index: Int64[Tensor, " column"]
    owner: Int64[Tensor, " column"]
    absent: Bool[Tensor, " column"]
    sees: Bool[Tensor, "column seen"]
    leaves: Int64[Tensor, "leaf token"]
    tails: tuple[tuple[tuple[int, ...], ...], ...]

    @property
    def n_columns(self) -> int:
        """How many tokens it has."""
        return len(self.ids)

    @property
    def ends(self) -> list[int]:
        """The columns of the tails, one after the other: those after which logits are needed."""
        return [column for tails in self.tails for tail in tails for column in tail]

    def to(self, device: torch.device) -> Block:
        """The same block on a device."""
        parts = ("ids", "index", "owner", "absent", "sees", "leaves")
        return replace(self, **{part: getattr(self, part).to(device) for part in parts})


def blocks(
    ids: Sequence[int], spans: Sequence[tuple[int, ...]], chains: Sequence[Sequence[int]]
) -> list[Block]:
    """The trie of a text, from its beginning.

    spans: each player's tokens, in the order of their first tokens. chains: tokens to read after each text.
    """
    starts = [span[0] for span in spans]
    chunks = [range(at, end) for at, end in zip(starts, [*starts[1:], len(ids)], strict=True)]
    found: list[Block] = []
    end = len(spans)
    while end:
        first = _first_of_block(chunks, end)
        behind = chains if end == len(spans) else ()
        found.append(_Layout(ids, spans, chunks, range(first, end), behind).block())
        end = first
    return found[::-1]


def _first_of_block(chunks: Sequence[range], end: int) -> int:
    """As many players as fit, and one at least: each one more doubles what comes after it."""
    first, columns = end - 1, 2 * len(chunks[end - 1])
    while first and 2 * (len(chunks[first - 1]) + columns) <= _BLOCK:
        first -= 1
        columns = 2 * (len(chunks[first]) + columns)
    return first


class _Layout:
    """Lays the columns of a block out, parents before children."""

    def __init__(
        self,
        ids: Sequence[int],
        spans: Sequence[tuple[int, ...]],
        chunks: Sequence[range],
        players: range,
        chains: Sequence[Sequence[int]],
    ) -> None:
        self._ids, self._chunks, self._players, self._chains = ids, chunks, players, chains
        self._owner = {token: player for player, span in enumerate(spans) for token in span}
        self._columns: list[tuple[int, int, int, bool]] = []
        self._ways: list[tuple[int, ...]] = []

    def block(self) -> Block:
        """The block, its coalitions in the order of their numbers."""
        nodes: list[tuple[int, ...]] = [()]
        for depth, player in enumerate(self._players):
            nodes = [
                self._grow(way, self._chunks[player], bits | present << depth)
                for present in (0, 1)
                for bits, way in enumerate(nodes)
            ]
        tails = tuple(tuple(self._follow(way, chain) for way in nodes) for chain in self._chains)
        ids, index, owner, absent = map(torch.tensor, zip(*self._columns, strict=True))
        start = self._chunks[self._players.start].start
        leaves = torch.tensor(nodes)
        return Block(self._players, start, ids, index, owner, absent, self._sees(), leaves, tails)

    def _grow(self, way: tuple[int, ...], tokens: range, bits: int) -> tuple[int, ...]:
        """The way that goes on from another by some tokens of the text, for a coalition of the block."""
        for token in tokens:
            owner = self._owner.get(token, -1)
            absent = owner in self._players and not bits >> (owner - self._players.start) & 1
            way = self._add(way, (self._ids[token], token, owner, absent))
        return way

    def _follow(self, way: tuple[int, ...], chain: Sequence[int]) -> tuple[int, ...]:
        """The columns of a text's last token and of a chain behind it."""
        last = len(way) - 1
        for at, token in enumerate(chain):
            way = self._add(way, (token, len(self._ids) + at, -1, False))
        return way[last:]

    def _add(self, way: tuple[int, ...], column: tuple[int, int, int, bool]) -> tuple[int, ...]:
        self._columns.append(column)
        self._ways.append((*way, len(self._ways)))
        return self._ways[-1]

    def _sees(self) -> Bool[Tensor, "column seen"]:
        sees = torch.zeros(len(self._ways), len(self._ways), dtype=torch.bool)
        for column, way in enumerate(self._ways):
            sees[column, list(way)] = True
        return sees
