import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conceptscope.hooks import Intervention, Site, Where, add_vector
from conceptscope.hooks._interventions import apply
from conceptscope.hooks._running import Selection


def where(rows: list[int]) -> Where:
    index = torch.tensor(rows)
    return Where(index, index, index)


SOME = Selection(torch.tensor([1, 4]), where([1, 4]))
ALL = Selection(None, where(list(range(6))))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


def double(x: Tensor, where: Where) -> Tensor:
    return 2 * x


def test_it_is_frozen_and_knows_its_site() -> None:
    intervention = Intervention("blocks.3.hook_resid_post", double, name="twice")
    assert intervention.site == Site("resid_post", 3)
    assert repr(intervention) == "Intervention('twice', 'resid_post.3', positions='all')"
    with pytest.raises(dataclasses.FrozenInstanceError):
        intervention.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("resid_pst.3", double), ValueError, "did you mean"),
        ((3, double), TypeError, "site"),
        (("resid_post.3", torch.ones(4)), TypeError, "function of"),
        (("resid_post.3", double, "mean"), ValueError, "capture only"),
        (("resid_post.3", double, "lst"), ValueError, "did you mean 'last'"),
        (("resid_post.3", double, 1.5), TypeError, "expected a position"),
    ],
)
def test_what_cannot_be_an_intervention(
    arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Intervention(*arguments)


def test_unselected_rows_are_bit_identical(x: Tensor) -> None:
    before = x.clone()
    changed = apply(Intervention("embed", double), x, SOME, None)
    assert torch.equal(changed.view(6, 4)[[1, 4]], 2 * before.view(6, 4)[[1, 4]])
    assert torch.equal(changed.view(6, 4)[[0, 2, 3, 5]], before.view(6, 4)[[0, 2, 3, 5]])
    assert torch.equal(x, before)


@pytest.mark.parametrize("selection", [SOME, ALL])
def test_an_edit_in_place_does_not_reach_other_readers(x: Tensor, selection: Selection) -> None:
    before = x.clone()
    changed = apply(Intervention("embed", lambda rows, where: rows.mul_(3)), x, selection, None)
    assert torch.equal(x, before)
    assert not torch.equal(changed, before)


def test_a_head_is_edited_alone() -> None:
    z = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    changed = apply(Intervention("z.0.2", double), z, SOME, 2)
    expected = z.clone()
    expected[0, 1, 2] *= 2
    expected[1, 1, 2] *= 2
    assert torch.equal(changed, expected)


def test_without_a_head_rows_keep_the_head_axis() -> None:
    seen: list[torch.Size] = []

    def edit(rows: Tensor, where: Where) -> Tensor:
        seen.append(rows.shape)
        return rows

    z = torch.randn(2, 3, 5, 4)
    assert torch.equal(apply(Intervention("z.0", edit), z, SOME, None), z)
    assert seen == [torch.Size([2, 5, 4])]


def test_the_dtype_is_cast_back(x: Tensor) -> None:
    half = x.to(torch.bfloat16)
    changed = apply(Intervention("embed", lambda rows, where: rows.double() + 1), half, ALL, None)
    assert changed.dtype == torch.bfloat16
    assert torch.equal(changed, (half.double() + 1).to(torch.bfloat16))


def test_an_edit_that_returns_something_else_is_refused(x: Tensor) -> None:
    with pytest.raises(TypeError, match=r"must return a tensor of shape \(2, 4\), it returned NoneType"):
        apply(Intervention("embed", lambda rows, where: None), x, SOME, None)
    with pytest.raises(ValueError, match=r"shape it got, \(6, 4\), it returned \(6, 1\)"):
        apply(Intervention("embed", lambda rows, where: rows[:, :1]), x, ALL, None)


def test_gradients_reach_through_an_edit(x: Tensor) -> None:
    x.requires_grad_()
    apply(Intervention("embed", double), x, SOME, None).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.view(6, 4)[:, 0].tolist() == [1, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_add_vector_takes_any_array(kind: Any, x: Tensor) -> None:
    changed = apply(add_vector("embed", kind([1.0, 0.0, -2.0, 0.5])), x, ALL, None)
    assert torch.equal(changed, x + torch.tensor([1.0, 0.0, -2.0, 0.5]))


def test_add_vector_serves_several_dtypes(x: Tensor) -> None:
    added = add_vector("embed", torch.full((4,), 0.1))
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        changed = apply(added, x.to(dtype), ALL, None)
        assert torch.equal(changed, x.to(dtype) + torch.full((4,), 0.1).to(dtype))


def test_a_later_change_of_the_vector_does_not_change_the_intervention(x: Tensor) -> None:
    vector = torch.ones(4)
    added = add_vector("embed", vector)
    vector.zero_()
    assert torch.equal(apply(added, x, ALL, None), x + 1)


def test_add_vector_refuses_a_vector_that_does_not_fit(x: Tensor) -> None:
    with pytest.raises(ValueError, match=r"shape \(1,\) cannot be added at embed, .* shape \(4,\)"):
        apply(add_vector("embed", torch.ones(1)), x, ALL, None)
    with pytest.raises(ValueError, match="not finite"):
        add_vector("embed", torch.tensor([1.0, float("nan")]))
