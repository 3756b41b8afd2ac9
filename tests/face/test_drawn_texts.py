from collections import Counter

import pytest

from conceptscope._drawn_texts import drawn_evenly, n_words
from conceptscope.hooks import Examples

DATA = Examples([str(number) for number in range(60)], ["a"] * 40 + ["b"] * 17 + ["c"] * 3)


@pytest.mark.parametrize(
    ("n", "counts"), [(6, (2, 2, 2)), (12, (5, 4, 3)), (60, (40, 17, 3)), (99, (40, 17, 3))]
)
def test_classes_come_as_evenly_as_they_can(n: int, counts: tuple[int, ...]) -> None:
    for seed in range(5):
        rows = drawn_evenly(DATA, range(60), n, seed)
        found = Counter(DATA.labels[row] for row in rows)
        assert sorted(found.values()) == sorted(counts)
        assert found["c"] == counts[2]
        assert rows == sorted(set(rows))


def test_only_the_given_rows_and_without_labels() -> None:
    assert set(drawn_evenly(DATA, [3, 41, 58], 99, 0)) == {3, 41, 58}
    assert drawn_evenly(Examples(["x"] * 5), range(5), 5, 0) == [0, 1, 2, 3, 4]
    assert drawn_evenly(DATA, range(60), 0, 0) == []


def test_the_seed_decides() -> None:
    drawn = [drawn_evenly(DATA, range(60), 6, seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_words_of_a_text_and_of_the_last_message() -> None:
    assert n_words("the dog  was\nhappy.") == 4
    assert n_words([{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]) == 1
