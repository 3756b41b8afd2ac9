"""Interventions on a running model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor

from conceptscope.hooks._aware import aware
from conceptscope.hooks._following import following
from conceptscope.hooks._interventions import Intervention, apply
from conceptscope.hooks._model import HookedModel, check_model
from conceptscope.hooks._running import now_running
from conceptscope.hooks._site import Site


@contextmanager
def intervene(model: HookedModel, *interventions: Intervention) -> Iterator[HookedModel]:
    """Within the context, every forward pass of the model is changed by the interventions, in their order.

    It holds for `generate`, `next_token_logits`, `capture` (which sees what the interventions have made) and
    for calls of ``model.hf`` and ``model.hf.generate``, with a KV cache or without one. Contexts nest: the
    outer one acts first. No hook survives the context, however it ends. Where ``model.hf`` is called with a
    filled cache, the tokens count as generated ones.

    Raises:
        TypeError: something that is not an Intervention.
        ValueError: a concept of another model; a site that the model does not have; when the model runs,
            positions that a prompt does not have, or an edit that returns another shape.

    >>> import conceptscope as cs, torch
    >>> model = cs.load_model("tinyworld")
    >>> before = cs.capture(model, ["The dog ran."], "resid_post.1")["resid_post.1"]
    >>> with cs.intervene(model, cs.add_vector("resid_post.1", torch.ones(model.d_model), "last")):
    ...     after = cs.capture(model, ["The dog ran."], "resid_post.1")["resid_post.1"]
    >>> torch.equal(after, before + 1)
    True
    """
    check_model(model)
    parts = [part for intervention in _checked(interventions) for part in intervention.parts()]
    sites = sites_of(model, parts)
    with ExitStack() as stack:
        stack.enter_context(following(model))
        for site, intervention in zip(sites, parts, strict=True):
            stack.callback(model.tap(site).register(_hook(model, site, intervention)).remove)
        yield model


def sites_of(model: HookedModel, interventions: Sequence[Intervention]) -> list[Site]:
    """The model's site for each intervention.

    Raises:
        TypeError: something that is not an Intervention.
        ValueError: a concept of another model, or a site that the model does not have.
    """
    return [_resolved(model, intervention) for intervention in _checked(interventions)]


def _checked(interventions: Sequence[Intervention]) -> Sequence[Intervention]:
    for given in interventions:
        if not isinstance(given, Intervention):
            several = isinstance(given, list | tuple)
            raise TypeError(
                "expected interventions, as concept.add(1.0) or add_vector(...) make, got "
                + ("a list of them: write *interventions" if several else type(given).__name__)
            )
    return interventions


def _resolved(model: HookedModel, intervention: Intervention) -> Site:
    meant_for = getattr(intervention.edit, "model_name", "")
    if meant_for and meant_for != model.name:
        raise ValueError(
            f"{intervention} was made from a concept of {meant_for!r}, and the model is {model.name!r}: "
            "find the concept in this model, or make the intervention with force=True if you mean it"
        )
    (site,) = model.resolve_sites([Site.parse(intervention.site)])
    return site


def _hook(model: HookedModel, site: Site, intervention: Intervention) -> Callable[[Tensor], Tensor | None]:
    def act(x: Tensor) -> Tensor | None:
        state = now_running(model)
        if state is None:
            raise ValueError(
                f"{intervention} cannot tell which tokens run: call model.hf or its body, not a part of it"
            )
        if x.shape[:2] != (len(state.prompts), state.columns):
            raise ValueError(
                f"{intervention} needs a tensor of shape [{len(state.prompts)}, {state.columns}, ...], "
                f"[batch, position, ...], and {site} has {list(x.shape)}"
            )
        selection = state.select(intervention.positions, x.device)
        if selection is None:
            return None
        edited = apply(intervention, x, selection, site.head)
        if site.kind != "resid_mid":
            return edited
        # A hook sees it on its way into a norm only: the block adds the same tensor to its output.
        x.copy_(edited)
        return None

    return aware(act)
