"""How each library reads every block's output at the last token, and how it steers, as its docs show.

Each gets a model and a tokenizer of its own, since several change them for good.
"""

import contextlib
import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from _timing import N_LAYERS, Inputs, make_bridge, padded

from conceptscope.hooks import HookedModel, add_vector, capture, generate, intervene

BATCH = 32
LAYER = 6
N_TOKENS = 40

States = Callable[[list[str]], torch.Tensor]
Steered = Callable[[], Any]


@dataclass(frozen=True)
class Peer:
    """``states`` gives [layer, text, d]; ``steer(texts, vector)`` a function that gives tokens or texts."""

    states: States
    steer: Callable[[list[str], torch.Tensor], Steered]


def encoded(model: HookedModel, texts: Sequence[str]) -> Inputs:
    """One batch, padded on the right."""
    (batch,) = padded(model, texts, len(texts))
    return batch


def chunks(texts: list[str]) -> list[list[str]]:
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


def at_last(hidden: Sequence[torch.Tensor], batch: Inputs) -> torch.Tensor:
    """The last real token of each row of [text, position, d] of each layer."""
    last = batch["attention_mask"].sum(1) - 1
    return torch.stack([layer[torch.arange(len(last)), last] for layer in hidden])


def decoding() -> dict[str, Any]:
    return {"max_new_tokens": N_TOKENS, "do_sample": False, "pad_token_id": 0}


def ours(model: HookedModel) -> Peer:
    def states(texts: list[str]) -> torch.Tensor:
        return torch.stack(list(capture(model, texts, batch_size=BATCH).values()))

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        def run() -> list[str]:
            with intervene(model, add_vector(f"resid_post.{LAYER}", vector)):
                return generate(model, texts, max_new_tokens=N_TOKENS)

        return run

    return Peer(states, steer)


def plain(model: HookedModel) -> Peer:
    """output_hidden_states, and a forward hook."""

    def states(texts: list[str]) -> torch.Tensor:
        found = []
        with torch.inference_mode():
            for chunk in chunks(texts):
                batch = encoded(model, chunk)
                found.append(at_last(model.hf(**batch, output_hidden_states=True).hidden_states[1:], batch))
        return torch.cat(found, 1)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)

        def run() -> torch.Tensor:
            block = model.hf.transformer.h[LAYER]
            handle = block.register_forward_hook(lambda module, args, output: output + vector)
            try:
                with torch.inference_mode():
                    return model.hf.generate(**batch, **decoding())
            finally:
                handle.remove()

        return run

    return Peer(states, steer)


def lens(model: HookedModel) -> Peer:
    bridge = make_bridge(model)
    names = [f"blocks.{layer}.hook_resid_post" for layer in range(N_LAYERS)]

    def states(texts: list[str]) -> torch.Tensor:
        found = []
        with torch.inference_mode():
            for chunk in chunks(texts):
                batch = encoded(model, chunk)
                _, cache = bridge.run_with_cache(
                    batch["input_ids"],
                    attention_mask=batch["attention_mask"],
                    names_filter=lambda name: name.endswith("hook_resid_post"),
                )
                found.append(at_last([cache[name] for name in names], batch))
        return torch.cat(found, 1)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        ids = encoded(model, texts)["input_ids"]

        def run() -> torch.Tensor:
            with (
                torch.inference_mode(),
                bridge.hooks(fwd_hooks=[(names[LAYER], lambda tensor, hook: tensor + vector)]),
            ):
                settings = {"do_sample": False, "stop_at_eos": False, "prepend_bos": False}
                return bridge.generate(ids, max_new_tokens=N_TOKENS, verbose=False, **settings)

        return run

    return Peer(states, steer)


def repeng(model: HookedModel) -> Peer:
    if not hasattr(np, "float_"):
        np.float_ = np.float64  # its annotations name a type that numpy 2 no longer has
    from repeng import ControlModel
    from repeng.extract import batched_get_hiddens

    def states(texts: list[str]) -> torch.Tensor:
        found = batched_get_hiddens(model.hf, model.tokenizer, texts, list(range(N_LAYERS)), BATCH)
        return torch.stack([torch.tensor(found[layer]) for layer in range(N_LAYERS)])

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)
        controlled = ControlModel(copy.deepcopy(model.hf), [LAYER])
        controlled.set_raw_control({LAYER: vector})

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return controlled.generate(**batch, **decoding())

        return run

    return Peer(states, steer)


def steering_vectors(model: HookedModel) -> Peer:
    from steering_vectors import SteeringVector, extract_activations

    def states(texts: list[str]) -> torch.Tensor:
        half = len(texts) // 2
        pairs = list(zip(texts[:half], texts[half:], strict=True))
        found = extract_activations(model.hf, model.tokenizer, pairs, batch_size=BATCH)
        parts = [torch.stack([torch.cat(side[layer]) for layer in range(N_LAYERS)]) for side in found]
        return torch.cat(parts, 1)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)

        def run() -> torch.Tensor:
            with torch.inference_mode(), SteeringVector({LAYER: vector}).apply(model.hf):
                return model.hf.generate(**batch, **decoding())

        return run

    return Peer(states, steer)


def nnsight(model: HookedModel) -> Peer:
    from nnsight import TransformersModel, save

    traced = TransformersModel(model.hf, tokenizer=model.tokenizer)

    def states(texts: list[str]) -> torch.Tensor:
        found = []
        for chunk in chunks(texts):
            batch = encoded(model, chunk)
            last, rows = batch["attention_mask"].sum(1) - 1, torch.arange(len(chunk))
            with torch.inference_mode(), traced.trace(batch):
                layers = save([block.output[rows, last] for block in traced.transformer.h])
            found.append(torch.stack(layers))
        return torch.cat(found, 1)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)

        def run() -> torch.Tensor:
            with torch.inference_mode(), traced.generate(batch, **decoding()) as tracer:
                for _ in tracer.iter[:N_TOKENS]:
                    traced.transformer.h[LAYER].output = traced.transformer.h[LAYER].output + vector
                tokens = tracer.result.save()
            return tokens

        return run

    return Peer(states, steer)


def nnterp(model: HookedModel) -> Peer:
    """Its 1.3 needs nnsight before 0.8; its in-place edits, no_grad instead of inference_mode."""
    from nnterp import StandardizedTransformer
    from nnterp.nnsight_utils import collect_token_activations_batched

    with tempfile.TemporaryDirectory() as folder:
        model.hf.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        kwargs = {"device_map": "cpu", "tokenizer_kwargs": {"padding_side": "left"}}
        traced = StandardizedTransformer(folder, **kwargs)
        traced.dispatch()

    def states(texts: list[str]) -> torch.Tensor:
        return collect_token_activations_batched(traced, texts, BATCH)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)

        def run() -> torch.Tensor:
            with torch.no_grad(), traced.generate(batch, **decoding()) as tracer:
                for _ in tracer.iter[:N_TOKENS]:
                    traced.steer(LAYER, vector)
                tokens = tracer.result.save()
            return tokens

        return run

    return Peer(states, steer)


def pyvene(model: HookedModel) -> Peer:
    import pyvene

    kinds = {"component": "block_output", "intervention_type": pyvene.CollectIntervention}
    collects = pyvene.IntervenableModel([{"layer": layer, **kinds} for layer in range(N_LAYERS)], model.hf)

    def states(texts: list[str]) -> torch.Tensor:
        found = []
        with torch.inference_mode():
            for chunk in chunks(texts):
                batch = encoded(model, chunk)
                last = (batch["attention_mask"].sum(1) - 1).tolist()
                where = {"base": [[[position] for position in last]] * N_LAYERS}
                (_, collected), _ = collects(batch, unit_locations=where)
                found.append(torch.stack([layer.reshape(len(chunk), -1) for layer in collected]))
        return torch.cat(found, 1)

    def steer(texts: list[str], vector: torch.Tensor) -> Steered:
        batch = encoded(model, texts)
        adds = pyvene.AdditionIntervention(source_representation=vector, embed_dim=len(vector))
        added = {"layer": LAYER, "component": "block_output", "intervention": adds}
        steered = pyvene.IntervenableModel(added, copy.deepcopy(model.hf))

        def run() -> torch.Tensor:
            with torch.inference_mode():
                return steered.generate(batch, intervene_on_prompt=True, **decoding())[1]

        return run

    return Peer(states, steer)


RAW = "output_hidden_states"
PEERS: dict[str, Callable[[HookedModel], Peer]] = {
    RAW: plain,
    "transformer-lens": lens,
    "repeng": repeng,
    "steering-vectors": steering_vectors,
    "nnsight": nnsight,
    "nnterp": nnterp,
    "pyvene": pyvene,
}


def named(name: str) -> str:
    """The library's name, with its version where it is installed."""
    with contextlib.suppress(ImportError):
        return f"{name} {version(name)}"
    return name
