"""A model with its hooks, taken apart so that other processes can put it together again."""

from __future__ import annotations

import io
import pickle
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conceptscope.hooks._aware import aware, hooks_of, hooks_on_all, is_aware, is_left_behind
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._offloaded import is_offloaded
from conceptscope.hooks._optional import optional

_NOTHING = -1


@dataclass(frozen=True, eq=False)
class _Packed:
    """A tensor as its bytes, which Ray lets all processes of a machine share.

    moves: it lies where the model does, wherever that is.
    """

    data: np.ndarray[Any, Any]
    dtype: torch.dtype
    shape: torch.Size
    is_parameter: bool
    requires_grad: bool
    moves: bool

    @classmethod
    def of(cls, tensor: Tensor, device: torch.device) -> _Packed:
        flat = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
        is_parameter = type(tensor) is nn.Parameter
        return cls(
            flat, tensor.dtype, tensor.shape, is_parameter, tensor.requires_grad, tensor.device == device
        )

    def tensor(self, device: torch.device) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shared bytes cannot be written to, and parameters are not
            shared = torch.from_numpy(self.data).view(self.dtype).view(self.shape)
        there = shared.to(device if self.moves else "cpu")
        if self.is_parameter:
            return nn.Parameter(there, requires_grad=self.requires_grad)
        return (there.clone() if there is shared else there).requires_grad_(self.requires_grad)


@dataclass(frozen=True, eq=False)
class Replica:
    """A model and its hooks as bytes, and the tensors of both."""

    pickled: bytes
    tensors: list[_Packed]

    @classmethod
    def of(cls, model: HookedModel) -> Replica:
        """A model as it is now, under the interventions and hooks that it has.

        Raises:
            ValueError: a model that vLLM runs or that is spread over devices; a hook on all modules there
                are; something that cannot be pickled.
        """
        _check(model)
        tensors: list[_Packed] = []
        found: dict[int, tuple[int, Tensor]] = {}
        hooks = hooks_of(model.hf)
        left_behind = {id(hook) for hook in hooks if is_left_behind(hook)}

        def number_of(thing: object) -> int | None:
            if id(thing) in left_behind:  # they hold what cannot be pickled, and nobody asks for it there
                return _NOTHING
            if not isinstance(thing, Tensor) or type(thing) not in (Tensor, nn.Parameter):
                return None
            if id(thing) not in found:
                found[id(thing)] = (len(tensors), thing)  # kept, so that no other gets its id
                tensors.append(_Packed.of(thing, model.device))
            return found[id(thing)][0]

        file = io.BytesIO()
        pickler = optional("ray.cloudpickle", "it comes with Ray").CloudPickler(file)
        pickler.persistent_id = number_of
        try:
            known = [hook for hook in hooks if is_aware(hook)]
            pickler.dump((model, known, RemovableHandle.next_id))
        except Exception as error:
            raise ValueError(
                f"{model.name}, or an intervention or hook on it, cannot be sent to Ray's workers ({error}): "
                "make it of what can be pickled, or leave engine= out"
            ) from error
        return cls(file.getvalue(), tensors)

    def model(self, device: torch.device) -> HookedModel:
        """The model again, on a device.

        Raises:
            ValueError: something that it is made of is not to be had here.
        """
        unpickler = pickle.Unpickler(io.BytesIO(self.pickled))
        made: dict[int, Any] = {_NOTHING: _nothing}

        def made_of(number: int) -> Any:
            if number not in made:
                made[number] = self.tensors[number].tensor(device)
            return made[number]

        unpickler.persistent_load = made_of  # type: ignore[method-assign]
        try:
            model: HookedModel
            model, known, next_id = unpickler.load()
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"Ray's workers cannot put together the model, its interventions and its hooks ({error}): "
                "install there what these are made of"
            ) from error
        # PyTorch numbers hooks by process: one put up here must not take the number of one that came along.
        RemovableHandle.next_id = max(RemovableHandle.next_id, next_id)
        for hook in known:
            aware(hook)
        return model


def _nothing(*args: Any, **kwargs: Any) -> None:
    """Stands for a hook that stays behind."""


def _check(model: HookedModel) -> None:
    if model.backend == "vllm":
        raise ValueError(
            f"{model.name} runs on vLLM, which spreads it over devices itself: leave engine= out, or load it "
            "with backend='torch'"
        )
    devices = {tensor.device for tensor in model.hf.parameters()}
    if len(devices) > 1 or any(map(is_offloaded, model.hf.modules())):
        raise ValueError(
            f"{model.name} is spread over devices, and each of Ray's workers has it on one: load it without "
            "device_map, or leave engine= out"
        )
    if hooks_on_all():
        raise ValueError(
            "hooks on all modules there are (register_module_forward_hook) do not reach Ray's workers: "
            "remove them, or put them on the model's own modules"
        )
