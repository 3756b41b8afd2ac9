"""A model that does by itself what interventions do."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import transformers

from conceptscope.hooks._affine_edit import AffineEdit
from conceptscope.hooks._bake_checkpoint import check_weights, rebuilt
from conceptscope.hooks._bake_fold import Act, fold
from conceptscope.hooks._bake_layout import Layout, layout_of
from conceptscope.hooks._intervene import sites_of
from conceptscope.hooks._interventions import Intervention
from conceptscope.hooks._prompts import special_ids
from conceptscope.hooks._site import Site

if TYPE_CHECKING:
    from conceptscope.hooks._model import HookedModel

_WITHIN = ("z", "mlp_post")
"""Sites before the projections, which a norm behind these does not touch."""


def bake(model: HookedModel, *interventions: Intervention) -> transformers.PreTrainedModel:
    """An ordinary Hugging Face model with the interventions, in their order, folded into its weights.

    Anything that runs the model (vLLM, llama.cpp, lm-eval) then runs the steered one. The original is left
    as it is; ``config.conceptscope`` of the result says what was baked. Its logits are those of `intervene`
    to rounding, which in half precision is that of the weights. It is on the CPU if the original is spread
    over several devices.

    What can be folded, at positions="all":
    - a constant, as `add_vector` and `concept.add` add it, at any site, if a module before it has a bias or
      can have one. Mistral and Qwen2 have none and are then written as Llama, if they have no sliding window.
    - an affine edit, as `concept.set` and `concept.erase` make it, at embed, attn_out, mlp_out, mlp_post and
      z, a single head too, and at resid_pre.0.
    - an affine edit of the residual stream after other modules have written to it, only if what it reads is
      then fixed already by edits at all earlier residual sites: erasing a concept at every site up to some
      layer, resid_mid included.

    A weight acts at every token: the baked model changes special tokens too, which interventions leave
    alone. Where the tokenizer or the chat template puts such tokens into texts a UserWarning says so, and
    logits there are not those of `intervene`.

    Raises:
        TypeError: something that is not an Intervention.
        ValueError: a concept of another model, a site that the model does not have, or what cannot be folded:
            other positions, an edit that is not affine or does not say so, an affine edit of the residual
            stream that past writing bypasses, a constant where there can be no bias, an architecture that
            norms or scales what its blocks write, a bridge, or quantised weights.

    >>> import conceptscope as cs, torch
    >>> model = cs.load_model("tinyworld")
    >>> baked = cs.bake(model, cs.add_vector("resid_post.1", torch.ones(model.d_model)))
    >>> baked.config.conceptscope["interventions"]
    [{'name': 'add', 'site': 'resid_post.1', 'positions': 'all'}]
    """
    sites = sites_of(model, interventions)
    layout = layout_of(model)
    check_weights(model.hf)
    acts: dict[Site, list[Act]] = {}
    for site, intervention in zip(sites, interventions, strict=True):
        act = _act(site, intervention, layout)
        acts.setdefault(Site(site.kind, site.layer), []).append(act)
    baked = rebuilt(model.hf, layout, fold(model, layout, acts))
    baked.config.conceptscope = _record(model, sites, interventions)
    _warn_of_special_tokens(model)
    return baked


def _act(site: Site, intervention: Intervention, layout: Layout) -> Act:
    edit = getattr(intervention.edit, "affine", None)
    if intervention.positions != "all":
        why = "weights act at every token, so that only positions='all' can be baked"
    elif not isinstance(edit, AffineEdit):
        why = "its edit is not affine, or does not say so in an attribute `affine`"
    elif site.is_module:
        why = "a module path does not say how its output is used: name a kind of site, as in 'mlp_out.3'"
    elif layout.is_normed and site.kind not in _WITHIN:
        why = "the model norms what its modules write and what it embeds, which leaves z and mlp_post"
    else:
        return Act(intervention, edit, site.head)
    raise ValueError(f"{intervention} cannot be baked: {why}")


def _record(model: HookedModel, sites: list[Site], interventions: tuple[Intervention, ...]) -> dict[str, Any]:
    """What config.conceptscope says; what was baked before stays in it."""
    earlier = getattr(model.hf.config, "conceptscope", None) or {}
    done = [
        {"name": intervention.name, "site": str(site), "positions": "all"}
        for site, intervention in zip(sites, interventions, strict=True)
    ]
    return {
        "version": version("conceptscope"),
        "model": earlier.get("model", model.name),
        "interventions": [*earlier.get("interventions", ()), *done],
    }


def _warn_of_special_tokens(model: HookedModel) -> None:
    if model.tokenizer is None:
        return
    ids = model.tokenizer("a")["input_ids"]
    special = [model.tokenizer.decode([one]) for one in ids if one in special_ids(model.tokenizer)]
    if special or getattr(model.tokenizer, "chat_template", None):
        adds = f"tokenizer adds {' and '.join(special)}" if special else "chat template adds special tokens"
        warnings.warn(
            f"the {adds} to a text: interventions leave such tokens alone, and the baked model changes them "
            "too, so that its logits differ from theirs on these texts",
            UserWarning,
            stacklevel=3,
        )
