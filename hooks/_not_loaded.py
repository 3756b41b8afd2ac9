"""Why a model cannot be loaded, in one sentence."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError

_EMBEDDED = "tinyworld"
_ELSE = f"or use {_EMBEDDED!r}, which is embedded"


@contextmanager
def model_told(source: str, device_map: Any = None) -> Iterator[None]:
    """Within the context, what fails while a config or weights are read becomes one sentence.

    Raises:
        OSError: it failed; the source is not there, or is broken.
        ValueError: it was the device_map.
    """
    try:
        yield
    except (OSError, ValueError, StrictDataclassError) as error:
        if device_map is not None and "device_map" in str(error):
            raise ValueError(f"device_map={device_map!r} is refused: {_sentence(error)}") from error
        raise OSError(_no_model(source, error)) from error


@contextmanager
def tokenizer_told(where: str) -> Iterator[None]:
    """Within the context, what fails while a tokenizer is read becomes one sentence.

    Raises:
        OSError: it failed; there is no tokenizer, or its files are broken.
    """
    try:
        yield
    except ImportError:  # says what to install
        raise
    except Exception as error:  # tokenizers raises no class of its own, and broken files fail anywhere
        if _is_path(where) and not Path(where).is_dir():
            raise OSError(f"there is no folder {where!r} to load a tokenizer from: check the path") from error
        raise OSError(
            f"there is no tokenizer to be had from {where!r} ({_sentence(error)}): save it there with its "
            "save_pretrained, or give load_model another with tokenizer="
        ) from error


def _no_model(source: str, error: Exception) -> str:
    path = Path(source).expanduser()
    if not source:
        return f"an empty name is no model: give a name on the Hugging Face hub or a folder, {_ELSE}"
    if path.is_dir():
        return f"the folder {source!r} holds no model that can be loaded ({_sentence(error)})"
    if path.is_file():
        return f"{source!r} is a file, not a model: give the folder with config.json and the weights"
    if _is_path(source):
        return f"there is no folder {source!r}: check the path, {_ELSE}"
    if difflib.get_close_matches(source.lower(), [_EMBEDDED], cutoff=0.8):
        return f"there is no model {source!r}: did you mean {_EMBEDDED!r}?"
    return (
        f"there is no model {source!r}: not a folder here, and not to be had from the Hugging Face hub "
        f"({_sentence(error)}); check the name and the network, {_ELSE}"
    )


def _is_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or source.count("/") > 1


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, json.JSONDecodeError):
        text = f"a file of it is not JSON: {text}"
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.strerror}: {error.filename}"
    return f"{text[:297]}..." if len(text) > 300 else text
