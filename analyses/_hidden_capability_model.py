"""What a hidden capability is looked for in: any model that answers prompts and lets its latents be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from conceptscope.analyses._overprompt import overprompt
from conceptscope.analyses._patch_module import patch_module
from conceptscope.hooks import Examples, HookedModel, Intervention, Site, Where, capture, generate, intervene


@runtime_checkable
class Promptable(Protocol):
    """A model that `hidden_capability` can ask; a HookedModel is made one, a world's own model may be one.

    What it says of a prompt is a text: for an image, a description.
    """

    def latents(self, prompts: Examples) -> Float[Tensor, "example d"]:
        """The activations that concepts are looked for in, one for each prompt."""
        ...

    def surroundings(self, prompts: Examples) -> Float[Tensor, "row d"]:
        """Activations whose covariance random directions have: as many as there are, not of prompts alone."""
        ...

    def shifted(self, prompts: Examples, shifts: Float[Tensor, "attempt d"]) -> list[list[str]]:
        """For each shift what the model says of each prompt when the latents are moved by it."""
        ...

    def overprompted(self, prompts: Examples, factors: Sequence[float]) -> list[list[str]]:
        """For each factor what the model says of each prompt when its encoding is multiplied by it."""
        ...

    def patched(self, late: Self) -> Self:
        """This model with the other's encoding of prompts."""
        ...


@dataclass(frozen=True, eq=False)
class PromptedModel:
    """A HookedModel: its latents are those at a site, the means over a prompt's tokens.

    They are moved at all of its tokens, and at those written after it.

    What overprompting scales are the embeddings of the prompts' spans, or, where they have none, of all
    their tokens; what is patched is the token embedding.
    """

    model: HookedModel
    site: Site
    max_new_tokens: int

    def latents(self, prompts: Examples) -> Float[Tensor, "example d"]:
        """The mean activations."""
        found: Tensor = capture(self.model, prompts, self.site, position="mean")[self.site]
        return found

    def surroundings(self, prompts: Examples) -> Float[Tensor, "row d"]:
        """The activations at all tokens."""
        found: Tensor = capture(self.model, prompts, self.site, position="all")[self.site]
        return found

    def shifted(self, prompts: Examples, shifts: Float[Tensor, "attempt d"]) -> list[list[str]]:
        """The continuations of the prompts, for each shift, all in the same batches."""
        n, times = len(prompts.texts), len(shifts)
        spans = None if prompts.spans is None else [*prompts.spans] * times
        copies = Examples([*prompts.texts] * times, spans=spans)
        with intervene(self.model, Intervention(self.site, _Shifted(shifts, n), "all", "shift")):
            written = generate(self.model, copies, max_new_tokens=self.max_new_tokens)
        return [written[at : at + n] for at in range(0, n * times, n)]

    def overprompted(self, prompts: Examples, factors: Sequence[float]) -> list[list[str]]:
        """The continuations of the prompts, for each factor."""
        found = []
        for factor in factors:
            with intervene(self.model, overprompt(factor, "prompt" if prompts.spans is None else "span")):
                found.append(generate(self.model, prompts, max_new_tokens=self.max_new_tokens))
        return found

    def patched(self, late: PromptedModel) -> PromptedModel:
        """This model with the other's token embedding."""
        embedding = self.model.hf.get_input_embeddings()
        name = next(name for name, module in self.model.hf.named_modules() if module is embedding)
        model = patch_module(self.model, late.model, name)
        return PromptedModel(model, self.site, self.max_new_tokens)


@dataclass(frozen=True, eq=False)
class _Shifted:
    """Moves the examples of each copy by the copy's shift."""

    shifts: Float[Tensor, "attempt d"]
    examples: int

    def __call__(self, x: Float[Tensor, row * d], where: Where) -> Float[Tensor, row * d]:
        return x + self.shifts.to(x)[(where.example // self.examples).to(x.device)].view_as(x)


def promptable(model: Any, site: Site | str | None, max_new_tokens: int) -> Promptable:
    """The model as it is asked; a HookedModel at a site, by default its middle layer's.

    Raises:
        TypeError: something that is neither a HookedModel nor Promptable.
        ValueError: a site that the model does not have.
    """
    if isinstance(model, HookedModel):
        (found,) = model.resolve_sites([site or Site("resid_post", (model.n_layers - 1) // 2)])
        return PromptedModel(model, found, max_new_tokens)
    if not isinstance(model, Promptable):
        raise TypeError(
            "a checkpoint must be a HookedModel, or have the methods of Promptable, got "
            f"{type(model).__name__}: make a Hugging Face model one with load_model(model, tokenizer=...)"
        )
    return model
