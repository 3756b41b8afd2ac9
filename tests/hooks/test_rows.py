import numpy as np
import pytest
import torch

from conceptscope.hooks._rows import as_list, selected_rows, take


@pytest.mark.parametrize(
    "index",
    [
        slice(1, 4),
        slice(None, None, -2),
        [4, 0, -1],
        np.array([True, False, True, True, False]),
        torch.tensor([False, True, False, True, False]),
        torch.tensor([2, 2, -5]),
        np.array([], int),
    ],
)
def test_selects_what_numpy_selects(index: object) -> None:
    chosen = index if isinstance(index, slice) else np.asarray(index)
    assert selected_rows(index, 5) == np.arange(5)[chosen].tolist()


def test_refuses_other_indices() -> None:
    with pytest.raises(IndexError, match="the mask has 3 entries for 5 rows"):
        selected_rows([True, False, True], 5)
    with pytest.raises(IndexError, match="row 5 of 5 rows"):
        selected_rows([0, 5], 5)
    with pytest.raises(TypeError, match="a slice, a mask or a list"):
        selected_rows([0.5], 5)


def test_takes_from_anything() -> None:
    assert take(None, [0]) is None
    assert take(["a", "b"], [1, 1]) == ["b", "b"]
    assert take(torch.eye(2), [1]).tolist() == [[0, 1]]
    assert as_list(np.array(["a"])) == as_list(("a",)) == ["a"]
