"""Randomness that is passed, never global."""

from __future__ import annotations

import numpy as np
import torch


def torch_generator(generator: int | torch.Generator) -> torch.Generator:
    """The generator itself, or a new one on the CPU with that seed.

    Raises:
        TypeError: neither a seed nor a torch generator.
    """
    if isinstance(generator, torch.Generator):
        return generator
    if isinstance(generator, bool) or not isinstance(generator, int | np.integer):
        raise TypeError(f"generator must be a seed or a torch.Generator, got {type(generator).__name__}")
    return torch.Generator().manual_seed(int(generator))


def numpy_generator(generator: int | torch.Generator) -> np.random.Generator:
    """A NumPy generator whose seed is drawn from the given one, which moves on by the draw."""
    source = torch_generator(generator)
    return np.random.default_rng(int(torch.randint(2**62, (), generator=source, device=source.device)))
