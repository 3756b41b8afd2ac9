"""An affine concept."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, HookedModel
from conceptscope.probes._concept_exchange import ExchangedConcept
from conceptscope.probes._concept_parts import Link
from conceptscope.probes._tops import rows_read_highest, tokens_raised_most

if TYPE_CHECKING:
    import pandas as pd

    from conceptscope.probes._extractor import Extractor
    from conceptscope.probes._stability import Stability

__all__ = ["Concept", "Link"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Concept(ExchangedConcept):
    """An affine concept at a site: k reading directions and, along them, k steering directions.

    reading A (k, d) and offset (k,): A x - offset is zero at the decision boundary (for a concept without
    classes, at the mean). steering (k, d): where an intervention moves along. scale (k,): the standard
    deviation of A x on the data that it was fitted on, in activation units; mean (d,): the mean there.
    classes: with one direction two classes, and positive is the last; with more, a class for each direction.
    link: "logit" if A x - offset are the log-odds (k = 1) or the softmax logits of the classes.
    source: where it came from (numbers of examples, settings, data).
    Only the reading and the site are needed: the concept then steers along its reading.

    Raises:
        ValueError: parts of different shapes, numbers that are not finite, or a scale that is not positive.

    >>> import conceptscope as cs
    >>> import torch
    >>> along_x = cs.Concept(torch.tensor([[2.0, 0.0]]), classes=("left", "right"), site="resid_post.0")
    >>> along_x.read(torch.tensor([[1.0, 5.0], [-3.0, 1.0]]))
    tensor([[ 2.],
            [-6.]])
    >>> along_x.predict(torch.tensor([[1.0, 5.0], [-3.0, 1.0]]))
    ['right', 'left']
    """

    fitted_by: ClassVar[Any] = None
    """The extractor and a weak reference to the activations, where it was fitted in this process."""

    def __neg__(self) -> Concept:
        """The same concept turned round: readings change sign, and the first class becomes the positive one.

        Raises:
            ValueError: a concept of many classes, where the greatest reading means the class.
        """
        if self.classes and self.k > 1:
            raise ValueError(f"only one direction can be turned round: -concept[{self.classes[0]!r}]")
        name = self.name[1:] if self.name.startswith("-") else f"-{self.name}"
        turned = {part: -getattr(self, part) for part in ("reading", "steering", "offset")}
        return replace(self, **turned, classes=self.classes[::-1], name=name)

    def __getitem__(self, label: Any) -> Concept:
        """The direction of one class as a concept of its own; without classes, the direction of that number.

        Raises:
            KeyError: no such class or direction.
        """
        known = self.classes or tuple(range(self.k))
        if label not in known:
            near = difflib.get_close_matches(str(label), [str(one) for one in known], n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise KeyError(f"no {label!r} in this concept: {hint}it has {', '.join(map(repr, known))}")
        if self.k == 1:
            return self if label == known[-1] else -self
        row = known.index(label)
        parts = {part: getattr(self, part)[[row]] for part in ("reading", "steering", "offset", "scale")}
        classes = (f"not {label}", label) if self.classes else ()
        return replace(self, **parts, classes=classes, name=str(label), link=None)

    def cosine(
        self, other: Any, *, of: Literal["reading", "steering"] = "reading", force: bool = False
    ) -> float | Float[Tensor, "concept other"]:
        """The cosine between the reading (or the steering) directions of two concepts, or to a vector.

        A number for one direction each, a (k, k') tensor otherwise. Two layers of one model may be compared.

        Raises:
            ValueError: another width, or another model (force=True allows this).
        """
        if isinstance(other, Concept):
            self._check("model", self.model_name, other.model_name, force)
        vectors = getattr(other, of) if isinstance(other, Concept) else torch.as_tensor(other)
        theirs = vectors.reshape(-1, vectors.shape[-1]).to(self.reading.device, torch.float64)
        if theirs.shape[-1] != self.d:
            raise ValueError(f"{self!r} has width {self.d}, and the other one has width {theirs.shape[-1]}")
        ours = getattr(self, of).to(torch.float64)
        unit = torch.nn.functional.normalize
        cosines = unit(ours, dim=-1) @ unit(theirs, dim=-1).T
        return cosines.item() if cosines.numel() == 1 else cosines

    def stability(
        self,
        activations: Activations | None = None,
        *,
        extractor: Extractor | None = None,
        folds: int = 5,
        resamples: int = 20,
        generator: int | torch.Generator = 0,
    ) -> Stability:
        """How much the reading and the steering direction depend on the examples: cosines between refits.

        A concept that was fitted in this process knows its extractor and, while they are in memory, its
        activations; otherwise pass them. It is refitted without each fold, and to random halves of the
        groups, classes kept, so many as `resamples` says, each half with its complement.

        Only two halves share no row ("half to half"): where there is nothing to find their cosine is about 0,
        when that of a half to all is .7 and that of a fold to all is .9. "all to unlimited" estimates from
        the halves how near this concept is to the one that unlimited examples would give, as if errors were
        those of a mean, which is nearly so for penalised fits; its range is that of the halves. `chance` is
        what random directions with the activations' covariance reach. A direction that turns round counts.

        Raises:
            KeyError: the concept's site is not among the activations.
            ValueError: nothing known of the activations or the extractor, concepts of another shape or model,
                or too few groups for the folds or the halves.

        Source: Politis, Romano and Wolf 1999 (subsampling); Spearman 1910 and Brown 1910 (halves and all).
        """
        from conceptscope.probes._refits import stability

        return stability(self, activations, extractor, folds=folds, resamples=resamples, generator=generator)

    def top_tokens(self, model: HookedModel, k: int = 10, *, force: bool = False) -> list[tuple[str, float]]:
        """The tokens whose logits one standard deviation along the steering direction raises most.

        Through the unembedding alone: the final norm is left out, so compare tokens and not sizes.

        Raises:
            ValueError: another model or width, more than one direction, or a model without unembedding.
        """
        self._check("model", self.model_name, model.name, force)
        return tokens_raised_most(self, model, k)

    def top_examples(self, activations: Activations, n: int = 10, *, force: bool = False) -> pd.DataFrame:
        """The n rows with the highest readings: example, position and label where known, and reading.

        Raises:
            ValueError: more than one direction, or activations that `read` would not take.
        """
        return rows_read_highest(self, activations, self.read(activations, force=force), n)
