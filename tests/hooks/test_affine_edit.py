from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from conceptscope.hooks import AffineEdit, HookedModel, Intervention, intervene


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def test_it_is_an_affine_map_of_each_row() -> None:
    x, constant, up, down = normal(5, 6), normal(6), normal(6, 2), normal(2, 6)
    matrix = torch.eye(6) + up @ down
    expected = torch.nn.functional.linear(x, matrix, constant)
    assert torch.allclose(AffineEdit(constant, up, down)(x), expected, atol=1e-6)
    assert torch.equal(AffineEdit(constant)(x), x + constant)


def test_a_row_with_heads_is_one_vector() -> None:
    x, edit = normal(5, 3, 2), AffineEdit(normal(6), normal(6, 1), normal(1, 6))
    assert torch.equal(edit(x), edit(x.flatten(1)).view(5, 3, 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_dtype_stays_and_half_precision_is_rounded_once(dtype: torch.dtype) -> None:
    x, edit = normal(5, 6).to(dtype), AffineEdit(normal(6), normal(6, 2), normal(2, 6))
    wide = x if dtype == torch.float64 else x.float()
    assert edit(x).dtype == dtype
    assert torch.equal(edit(x), edit(wide).to(dtype))


def test_it_keeps_what_it_was_given() -> None:
    constant = normal(6)
    edit = AffineEdit(constant)
    before = edit(normal(5, 6))
    constant.zero_()
    assert torch.equal(edit(normal(5, 6)), before)
    assert edit.affine is edit


@pytest.mark.parametrize(
    "parts",
    [
        (torch.zeros(2, 2),),
        (torch.zeros(6), torch.zeros(6, 2)),
        (torch.zeros(6), None, torch.zeros(2, 6)),
        (torch.zeros(6), torch.zeros(5, 2), torch.zeros(2, 5)),
        (torch.zeros(6), torch.zeros(6, 2), torch.zeros(3, 6)),
        (torch.zeros(6), torch.zeros(6), torch.zeros(6)),
    ],
)
def test_parts_of_other_shapes_are_refused(parts: tuple[Tensor, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected a constant \[d\], up \[d, rank\] and down \[rank, d\]"):
        AffineEdit(*parts)


@pytest.mark.parametrize("part", range(3))
def test_entries_that_are_not_finite_are_refused(part: int) -> None:
    parts = [torch.zeros(6), torch.zeros(6, 2), torch.zeros(2, 6)]
    parts[part].view(-1)[1] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        AffineEdit(*parts)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"width 6 cannot act on activations of shape \(5,\)"):
        AffineEdit(torch.zeros(6))(normal(2, 5))


def test_one_that_is_meant_for_another_model_is_refused(tiny: Callable[..., HookedModel]) -> None:
    model = tiny("llama")
    meant = Intervention("embed", AffineEdit(torch.zeros(model.d_model), model_name="another"))
    with pytest.raises(ValueError, match="of 'another'"), intervene(model, meant):
        pass
