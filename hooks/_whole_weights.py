"""Weights of which every tensor was read: none is left as transformers drew it at random."""

from __future__ import annotations

import errno
import pickle
import re
import warnings
from collections.abc import Iterable
from typing import Any

from safetensors import SafetensorError

_SHOWN = 3
_POOLER = "pooler"
_BROKEN = "its weights are broken, perhaps not wholly copied, or pointers of Git LFS in their place"
_ANY_BLOCK = re.compile(r"(?<=\.)\d+(?=\.)")


def whole_weights(model_class: Any, path: str, settings: dict[str, Any], n_layers: int | None) -> Any:
    """A model from files that hold all of its tensors.

    A pooler that the files of a body lack is left out, as nothing reads it. If only tensors of the head are
    lacking, the body is loaded alone, with a warning.
    n_layers: as config.json says, by which blocks that the files hold beyond the model's are told from those
        that the settings leave out.

    Raises:
        OSError: the files are broken, lack tensors, or hold others than config.json says.
    """
    hf, told = _read(model_class, path, settings)
    name = type(hf).__name__
    if told["mismatched_keys"] and not settings.get("ignore_mismatched_sizes"):
        raise OSError(_other_shapes(told["mismatched_keys"]))
    if getattr(hf.config.get_text_config(), "num_hidden_layers", None) == n_layers:
        _refuse_more_blocks(hf, told["unexpected_keys"])
    missing = sorted(told["missing_keys"])
    if hf.base_model is hf:
        missing = _without_pooler(hf, missing)
    elif missing and not any(_is_of_body(key, hf.base_model_prefix) for key in missing):
        body = type(hf.base_model)
        warnings.warn(
            f"the weights of {path!r} lack {_listed(missing)}: {body.__name__} is loaded, which is {name} "
            "without its head",
            stacklevel=4,
        )
        return whole_weights(body, path, settings, n_layers)
    if missing:
        raise OSError(
            f"its weights lack {len(missing)} of the {len(hf.state_dict())} tensors of {name}: "
            f"{_listed(missing)}; copy it anew, or give load_model the model that transformers makes of it, "
            "if these may be random"
        )
    return hf


def _read(model_class: Any, path: str, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    telling = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # so that these are named too
    try:
        found: tuple[Any, dict[str, Any]] = model_class.from_pretrained(path, **settings | telling)
    except (SafetensorError, EOFError, pickle.UnpicklingError) as error:
        raise OSError(_BROKEN) from error
    except (OSError, RuntimeError) as error:
        if getattr(error, "errno", None) != errno.EINVAL and "zip archive" not in str(error):
            raise
        raise OSError(_BROKEN) from error
    return found


def _is_of_body(key: str, prefix: str) -> bool:
    return key.startswith(f"{prefix}.") and not key.startswith(f"{prefix}.{_POOLER}.")


def _without_pooler(body: Any, missing: list[str]) -> list[str]:
    """Take out a pooler of which tensors are missing; those that are missing elsewhere."""
    elsewhere = [key for key in missing if not key.startswith(f"{_POOLER}.")]
    if len(elsewhere) < len(missing):
        setattr(body, _POOLER, None)
    return elsewhere


def _refuse_more_blocks(hf: Any, unexpected: Iterable[str]) -> None:
    known = {_ANY_BLOCK.sub("*", key) for key in hf.state_dict()}
    more = sorted(key for key in unexpected if _ANY_BLOCK.sub("*", key) in known)
    if more:
        raise OSError(
            f"its weights hold more blocks than the {hf.config.get_text_config().num_hidden_layers} that "
            f"config.json says: {_listed(more)}; if some are meant to be left out, give num_hidden_layers="
        )


def _other_shapes(mismatched: Iterable[tuple[str, Any, Any]]) -> str:
    found = sorted((key, tuple(stored), tuple(expected)) for key, stored, expected in mismatched)
    shapes = [f"{key} has {stored} and not {expected}" for key, stored, expected in found]
    return f"its weights have other shapes than config.json says: {_listed(shapes)}"


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
