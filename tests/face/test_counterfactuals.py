import pytest
import torch

import conceptscope as cs
from conceptscope._counterfactuals import counterfactuals

CONCEPT = cs.Concept(
    torch.tensor([[1.0, 0.0]]), scale=torch.tensor([2.0]), classes=("bad", "good"), site="embed"
)


def test_readings_are_compared_within_pairs() -> None:
    rows = torch.tensor([[5.0, 0.0], [1.0, 9.0], [0.0, 0.0], [2.0, 1.0], [7.0, 7.0]])
    labels, pairs = ["good", "bad", "good", "bad", "good"], [1, 1, 2, 2, 3]
    found = counterfactuals(CONCEPT, cs.Activations({"embed": rows}, labels, pairs=pairs))
    assert (found.n, found.higher) == (2, 0.5)
    assert found.rise == pytest.approx((2.0 - 1.0) / 2)


def test_without_pairs_it_refuses() -> None:
    with pytest.raises(ValueError, match="pair"):
        counterfactuals(CONCEPT, cs.Activations({"embed": torch.zeros(2, 2)}, ["good", "bad"]))
