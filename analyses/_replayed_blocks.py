"""Going on from the middle of a model: blocks give what they gave before, and the rest is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from jaxtyping import Int64
from torch import Tensor, nn

from conceptscope.hooks import HookedModel, Site
from conceptscope.hooks._taps import ModuleTap


class _Stop(BaseException):
    """The block has run."""


def blocks_of(model: HookedModel) -> list[nn.Module]:
    """The model's blocks, one after the other; none where they are not what carries its sites."""
    taps = [model.tap(site) for site in model.sites("resid_pre")] if "resid_pre" in model.kinds else []
    found = [tap.module for tap in taps if isinstance(tap, ModuleTap) and tap.module is tap.block]
    return found if len(found) == model.n_layers else []


def begins_at(model: HookedModel, blocks: Sequence[nn.Module], site: Site) -> int | None:
    """The first block that must run after a change at a site, or to see it; None outside the blocks.

    What a block gives may be changed when it is given again: that block need not run.
    """
    tap = model.tap(site)
    if not isinstance(tap, ModuleTap) or tap.block is None:
        return None
    number = next(index for index, block in enumerate(blocks) if block is tap.block)
    return number + (tap.module is tap.block and tap.reads == "output")


def output_of(block: nn.Module, run: Callable[[], object]) -> Any:
    """What a block gives in a forward pass, before any hook sees it; the pass goes no further."""
    forward, seen = block.forward, []

    def stops(*args: Any, **kwargs: Any) -> None:
        seen.append(forward(*args, **kwargs))
        raise _Stop

    with _forward(block, stops), suppress(_Stop):
        run()
    return seen[0]


@contextmanager
def replayed(blocks: Sequence[nn.Module], output: Any) -> Iterator[None]:
    """Have the last of the first blocks give an output again, without running any of them."""
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(_forward(block, lambda *args, **kwargs: output))
        yield


def last_mlp(model: HookedModel) -> nn.Module | None:
    """The last block's MLP, whose output nothing but the logits of the same token depends on.

    None where there are no logits, or the MLP is no module of its own.
    """
    if model.hf.get_output_embeddings() is None or "mlp_out" not in model.kinds:
        return None
    tap = model.tap(Site("mlp_out", model.n_layers - 1))
    return tap.module if isinstance(tap, ModuleTap) and tap.reads == "output" else None


@contextmanager
def only_at(module: nn.Module, columns: Sequence[int]) -> Iterator[None]:
    """Have a module that treats each token apart run at some tokens alone, and give zeros elsewhere."""
    forward = module.forward

    def narrowed(x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if x.ndim != 3:
            return forward(x, *args, **kwargs)
        there = forward(x[:, columns], *args, **kwargs)
        output = there.new_zeros(*x.shape[:2], there.shape[-1])
        output[:, columns] = there
        return output

    with _forward(module, narrowed):
        yield


def rows_of(output: Any, rows: Int64[Tensor, " row"]) -> Any:
    """The output of a block with these rows of its batch."""
    if isinstance(output, Tensor):
        return output.index_select(0, rows.to(output.device))
    return tuple(rows_of(part, rows) for part in output) if isinstance(output, tuple) else output


@contextmanager
def _forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Set a module's forward on the instance, and afterwards have it as it was."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = forward
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if before is not None:
            module.__dict__["forward"] = before
