"""The layout of a trie: every coalition's text must be there once, and see nothing else."""

import itertools

import pytest
import torch

from conceptscope.analyses._trie import blocks

TEXTS = {
    "a player each token": (6, [(i,) for i in range(6)]),
    "behind a prefix, with gaps": (30, [(9,), (12, 13), (20,), (25,)]),
    "with a player in two places": (12, [(2, 9), (4,), (6, 10), (8,)]),
    "in several blocks": (40, [(4 * i + 1,) for i in range(9)]),
    "with a long end": (90, [(1,), (3,)]),
}


def texts_in(found, n_tokens):
    """From each coalition's number to its tokens, as (token, absent) on its way through the blocks."""
    ways = {0: []}
    for block in found:
        following = {}
        for (number, before), leaf in itertools.product(ways.items(), range(len(block.leaves))):
            columns = block.leaves[leaf].tolist()
            bits = number | leaf << block.players.start
            following[bits] = [
                *before,
                *((int(block.index[c]), owner_is_absent(block, c, bits)) for c in columns),
            ]
        ways = following
    return ways


def owner_is_absent(block, column, bits):
    owner = int(block.owner[column])
    own = owner in block.players
    absent = owner >= 0 and not bits >> owner & 1
    assert not own or bool(block.absent[column]) == absent
    return absent


@pytest.mark.parametrize("name", TEXTS)
def test_every_coalition_is_a_text_of_the_trie(name):
    n, spans = TEXTS[name]
    ids = list(range(100, 100 + n))
    found = blocks(ids, spans, [()])
    first, ways = spans[0][0], texts_in(found, n)
    assert sorted(ways) == list(range(2 ** len(spans)))
    for bits, way in ways.items():
        gone = {token for player, span in enumerate(spans) if not bits >> player & 1 for token in span}
        assert way == [(token, token in gone) for token in range(first, n)]


@pytest.mark.parametrize("name", TEXTS)
def test_a_column_sees_its_own_way_and_nothing_else(name):
    n, spans = TEXTS[name]
    for block in blocks(range(n), spans, [(), (7, 8)]):
        for leaf in block.leaves.tolist():
            for at, column in enumerate(leaf):
                assert block.sees[column].nonzero()[:, 0].tolist() == leaf[: at + 1]
        assert not block.sees.triu(1).any()


def test_columns_are_as_many_as_the_trie_has_branches():
    found = blocks(range(12), [(4,), (7,), (9,)], [()])
    assert [block.n_columns for block in found] == [2 * 3 + 4 * 2 + 8 * 3]
    assert found[0].start == 4


def test_chains_follow_every_coalition_of_the_last_block():
    (block,) = blocks([5, 6, 7], [(1,), (2,)], [(), (40, 41), (50,)])
    none, two, one = block.tails
    assert [len(tails) for tails in block.tails] == [4, 4, 4]
    for leaf, tail, other, last in zip(block.leaves.tolist(), two, one, none, strict=True):
        assert last == (leaf[-1],)
        assert tail[0] == other[0] == leaf[-1]
        assert block.ids[list(tail[1:])].tolist() == [40, 41]
        assert block.index[list(tail)].tolist() == [2, 3, 4]
        assert block.sees[tail[-1]].nonzero()[:, 0].tolist() == [*leaf, *tail[1:]]
        assert block.ids[other[1]] == 50


def test_a_block_has_one_player_at_least_and_stays_small():
    small = blocks(range(40), [(3 * i,) for i in range(12)], [()])
    assert all(len(block.players) == 1 or block.n_columns <= 128 for block in small)
    long = blocks(range(300), [(0,), (100,)], [()])
    assert [len(block.players) for block in long] == [1, 1]
    assert torch.equal(long[0].leaves, torch.arange(200).view(2, 100))
