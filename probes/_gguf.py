"""Control vectors of llama.cpp."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from conceptscope.hooks._optional import optional
from conceptscope.hooks._whole_file import whole_file
from conceptscope.probes._layer_vectors import layer_vectors, parts_of_vector, vector_of_layer

if TYPE_CHECKING:
    from conceptscope.probes._concept_acting import ActingConcept

_KIND, _DIRECTION, _HINT = "controlvector", "direction.", "controlvector.model_hint"
_REMEDY = "it comes with the extra 'gguf', pip install 'conceptscope[gguf]'"


def write_gguf(path: str | Path, concepts: Sequence[ActingConcept], model_hint: str) -> None:
    """Write concepts as one control vector: direction.L is what is added to the output of layer L, from 0.

    Raises:
        ImportError: the extra `gguf` is not installed.
        ValueError: a concept that such a file cannot hold.

    Source: llama.cpp, common_control_vector_load_one in common/common.cpp and llama_adapter_cvec in
    src/llama-adapter.cpp.
    """
    gguf = optional("gguf", _REMEDY)
    vectors = layer_vectors(concepts)
    if 0 in vectors:
        raise ValueError(
            "llama.cpp adds nothing after layer 0 and refuses such a file: leave resid_post.0 out"
        )
    with whole_file(path) as partial, closing(gguf.GGUFWriter(partial, _KIND)) as writer:
        writer.add_string("general.name", concepts[0].name)
        writer.add_string(_HINT, model_hint or concepts[0].model_name or "unknown")
        writer.add_uint32("controlvector.layer_count", len(vectors))
        for layer, vector in vectors.items():
            writer.add_tensor(f"{_DIRECTION}{layer}", vector)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def read_gguf(path: str | Path, layer: int | None) -> dict[str, Any]:
    """The parts of the concept that adds a control vector's direction of one layer.

    Raises:
        FileNotFoundError: no such file.
        ImportError: the extra `gguf` is not installed.
        KeyError: no direction for that layer.
        ValueError: the file is cut short or holds no control vector, or several layers and none named.
    """
    vectors, hint = _directions(Path(path), optional("gguf", _REMEDY))
    at, vector = vector_of_layer(vectors, layer)
    source = {"model_hint": hint}
    return parts_of_vector(vector) | {
        "site": f"resid_post.{at}",
        "method": "control vector",
        "source": source,
    }


def _directions(file: Path, gguf: Any) -> tuple[dict[int, Float[np.ndarray, " d"]], str]:
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {str(file)!r}")
    try:
        reader = gguf.GGUFReader(file)
    except (ValueError, LookupError, OverflowError) as error:
        raise ValueError(f"{file} is cut short or no GGUF file: save it again ({error})") from error
    kind = _text(reader, "general.architecture")
    if kind != _KIND:
        raise ValueError(f"{file} holds no control vector: it says it is {kind!r}")
    vectors = {}
    for tensor in reader.tensors:
        number = tensor.name.removeprefix(_DIRECTION)
        if number == tensor.name or not number.isdecimal() or tensor.data.dtype != np.float32:
            raise ValueError(f"{file} is no control vector that llama.cpp reads: it holds {tensor.name!r}")
        vectors[int(number)] = tensor.data
    return vectors, _text(reader, _HINT)


def _text(reader: Any, key: str) -> str:
    field = reader.get_field(key)
    return "" if field is None else bytes(field.parts[-1]).decode(errors="replace")
