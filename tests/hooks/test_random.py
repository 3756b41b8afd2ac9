import numpy as np
import pytest
import torch

from conceptscope.hooks._random import numpy_generator, torch_generator


def test_seeds_repeat_and_generators_move_on() -> None:
    assert torch_generator(3).get_state().equal(torch.Generator().manual_seed(3).get_state())
    assert numpy_generator(3).random() == numpy_generator(np.int64(3)).random()
    assert numpy_generator(3).random() != numpy_generator(4).random()
    generator = torch.Generator().manual_seed(3)
    assert torch_generator(generator) is generator
    first, second = numpy_generator(generator).random(), numpy_generator(generator).random()
    assert first == numpy_generator(3).random()
    assert first != second


def test_refuses_other_things() -> None:
    for other in ("0", True, None, 0.5, np.random.default_rng(0)):
        with pytest.raises(TypeError, match=r"a seed or a torch\.Generator"):
            numpy_generator(other)  # type: ignore[arg-type]
