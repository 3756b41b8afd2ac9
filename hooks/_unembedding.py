"""Logits of some positions only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor

Kept = Callable[[Float[Tensor, "example position d"]], Float[Tensor, "example kept d"]]


@contextmanager
def unembedding(hf: Any, kept: Kept) -> Iterator[None]:
    """Let through the unembedding only what is kept of its input; a model without one computes all."""
    head = hf.get_output_embeddings()
    if head is None:
        yield
        return

    def keep(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        return (kept(args[0]), *args[1:]) if args and args[0].ndim == 3 else None

    handle = head.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()
