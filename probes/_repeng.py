"""Control vectors of repeng."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from conceptscope.hooks._optional import optional
from conceptscope.probes._layer_vectors import layer_vectors, parts_of_vector, vector_of_layer

if TYPE_CHECKING:
    from conceptscope.probes._concept_acting import ActingConcept

_REMEDY = (
    "install it with pip install --no-deps repeng, or write a file with to_gguf and read it where repeng is, "
    "with its ControlVector.import_gguf"
)


def as_control_vector(concepts: Sequence[ActingConcept], model_type: str) -> Any:
    """The concepts as a `repeng.ControlVector`, whose layer L is the output of block L, from 0.

    Raises:
        ImportError: repeng is not installed, or does not load.
        ValueError: a concept that a control vector cannot hold.

    Source: repeng, ControlModel in control.py.
    """
    vectors = layer_vectors(concepts)
    return optional("repeng", _REMEDY).ControlVector(model_type or concepts[0].model_name, vectors)


def read_control_vector(vector: Any, layer: int | None) -> dict[str, Any]:
    """The parts of the concept that adds what a `repeng.ControlVector` adds after one layer.

    Raises:
        KeyError: no direction for that layer.
        TypeError: no control vector.
        ValueError: several layers and none named.
    """
    directions = getattr(vector, "directions", None)
    if directions is None:
        raise TypeError(f"expected a repeng.ControlVector, got {type(vector).__name__}")
    at, direction = vector_of_layer(directions, layer)
    source = {"model_type": str(getattr(vector, "model_type", ""))}
    return parts_of_vector(direction) | {"site": f"resid_post.{at}", "method": "repeng", "source": source}
