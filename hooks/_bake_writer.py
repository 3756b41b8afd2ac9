"""What writes to the residual stream, as a matrix and a bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from conceptscope.hooks._affine_edit import AffineEdit
from conceptscope.hooks._offloaded import fetched


@dataclass(eq=False)
class Writer:
    """A linear layer or an embedding, whose output weight @ input + bias is added to the residual stream.

    On the CPU and in float64. ``takes_bias``: whether the module has where to keep a bias; a constant can be
    added to every row of an embedding.
    """

    path: str
    weight: Float[Tensor, "d in"]
    bias: Float[Tensor, " d"]
    takes_bias: bool
    is_embedding: bool
    is_transposed: bool

    @classmethod
    def of(cls, module: nn.Module, path: str) -> Writer:
        """The module at a path as a writer."""
        is_embedding, is_transposed = isinstance(module, nn.Embedding), not isinstance(module, nn.Linear)
        with fetched(module):
            parameters = {
                name: part.detach().to("cpu", torch.float64, copy=True)
                for name, part in module.named_parameters()
            }
        weight = parameters["weight"].T if is_transposed else parameters["weight"]
        bias = parameters.get("bias", weight.new_zeros(len(weight)))
        return cls(path, weight, bias, is_embedding or "bias" in parameters, is_embedding, is_transposed)

    def edit_input(self, edit: AffineEdit, first: int = 0) -> None:
        """Edit what the module gets, from its column ``first`` on, before it multiplies."""
        up, down, constant = edit.factors()
        part = self.weight[:, first : first + edit.d]
        self.bias = self.bias + part @ constant
        part += (part @ up) @ down

    def edit_output(self, edit: AffineEdit) -> None:
        """Edit what the module gives."""
        self.edit_linearly(edit)
        self.bias = self.bias + edit.factors()[2]

    def edit_linearly(self, edit: AffineEdit) -> None:
        """Edit what the module gives, without the edit's constant."""
        up, down, _ = edit.factors()
        if up.shape[1]:
            self.weight += up @ (down @ self.weight)
            self.bias = self.bias + up @ (down @ self.bias)

    def parameters(self) -> dict[str, Tensor]:
        """The module's parameters by their names in the model."""
        weight = self.weight + self.bias[:, None] if self.is_embedding else self.weight
        named = {f"{self.path}.weight": weight.T.contiguous() if self.is_transposed else weight}
        if self.takes_bias and not self.is_embedding:
            named[f"{self.path}.bias"] = self.bias
        return named
