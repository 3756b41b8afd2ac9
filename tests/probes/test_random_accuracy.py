import numpy as np
import pytest
import torch

from conceptscope.hooks import Activations
from conceptscope.probes._folded import Folded
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._random_accuracy import RandomAccuracy
from conceptscope.probes._random_directions import RandomDirections


def accuracy(x: torch.Tensor, codes: torch.Tensor, draws: int = 200) -> float:
    fold = torch.arange(len(x)) // 2 % 5
    classes = int(codes.max()) + 1
    random = RandomDirections(0, 1 if classes == 2 else classes, draws=draws)
    data = Labelled.of(Activations({"embed": x.double()}), None)
    folded = Folded.without_each(data, codes[None], classes, fold, random)
    assert folded.sums.directions is not None
    found = RandomAccuracy(folded, folded.sums.directions)
    for rows, block in folded.data.blocks():
        found.see(rows, block)
    return found.value


@pytest.mark.parametrize("classes", [2, 4])
def test_random_directions_find_nothing_in_noise(classes: int) -> None:
    rng = torch.Generator().manual_seed(0)
    found = accuracy(torch.randn(400, 20, generator=rng), torch.arange(400) % classes)
    assert found == pytest.approx(1 / classes, abs=0.03)


def test_random_directions_have_the_covariance_of_the_activations() -> None:
    rng = torch.Generator().manual_seed(0)
    codes = torch.arange(400) % 2
    x = torch.randn(400, 50, generator=rng)
    x[:, 0] += 20 * codes
    along_first = x[:, :1]
    isotropic = torch.randn(50, 200, generator=rng)
    thresholds = [(x @ w)[:, None] for w in isotropic.T]
    weak = np.mean([accuracy(scores, codes, draws=1) for scores in thresholds])
    assert accuracy(along_first, codes) == 1
    assert accuracy(x, codes) > weak + 0.05
