"""A concept that is read by an encoder which is not linear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from html import escape
from typing import Any, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._positions import Position
from conceptscope.probes._described import in_brief
from conceptscope.probes._encoder import Encoder


@dataclass(frozen=True, eq=False, repr=False)
class EncodedConcept:
    """A concept whose valuations an encoder gives; it reads as a `Concept` does, and cannot steer.

    offset (k,) and scale (k,): the mean and the standard deviation of the encodings on the base set.

    Raises:
        ValueError: an offset or a scale of another shape, or a scale that is not positive.

    >>> import conceptscope as cs
    >>> import torch
    >>> from conceptscope.probes._encoder import Encoder
    >>> none = torch.zeros(1, 2, 0), torch.zeros(1, 0), torch.zeros(1, 0)
    >>> first = Encoder(torch.tensor([[1.0, 0.0]]), *none)
    >>> cs.EncodedConcept(first, torch.tensor([4.0]), torch.tensor([2.0]), site="embed").read([[8.0, 1.0]])
    tensor([[2.]])
    """

    encoder: Encoder
    offset: Float[Tensor, " concept"]
    scale: Float[Tensor, " concept"]
    _: KW_ONLY
    site: Site | str
    position: Position | None = None
    name: str = ""
    method: str = ""
    model_name: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "site", Site.parse(self.site))
        for part in ("offset", "scale"):
            if getattr(self, part).shape != (self.k,):
                raise ValueError(
                    f"{part} must have shape ({self.k},), got {tuple(getattr(self, part).shape)}"
                )
        if not (self.scale > 0).all():
            raise ValueError(f"scale must be positive, got {self.scale.tolist()}")

    @property
    def environments(self) -> dict[str, dict[str, float]]:
        """For each environment its concept, its valuation and the variance around it, in encoder units."""
        return dict(self.source.get("environments", {}))

    @property
    def k(self) -> int:
        """How many concepts it encodes."""
        return len(self.encoder.linear)

    @property
    def d(self) -> int:
        """The width of the activations that it reads."""
        return self.encoder.linear.shape[1]

    def encode(self, x: Any) -> Float[Tensor, "*example concept"]:
        """What the encoder makes of x (..., d), or of Activations that have the concept's site.

        Raises:
            KeyError: activations that lack the site.
            ValueError: activations of another width or model, or that are not floats.
        """
        return self.encoder(self._rows(x))

    def valuation(self, x: Any) -> Float[Tensor, "*example concept"]:
        """The same as `encode`, by the name that a `Concept` has for A x."""
        return self.encode(x)

    def read(self, x: Any) -> Float[Tensor, "*example concept"]:
        """The encodings in standard deviations on the base set, zero at its mean; x is as in `encode`."""
        encodings = self.encode(x)
        return (encodings - self.offset.to(encodings)) / self.scale.to(encodings)

    def add(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused: it cannot steer.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            f"{self!r} cannot steer: its encoder is not linear, so that no direction in the activations "
            "belongs to it; fit AffineContrastive(encoder='linear') to steer"
        )

    set = erase = clamp = add

    def to(self, *args: Any, **kwargs: Any) -> EncodedConcept:
        """The same concept on another device or in another dtype, as in `Tensor.to`."""
        parts = {part: getattr(self, part).to(*args, **kwargs) for part in ("encoder", "offset", "scale")}
        return replace(self, **parts)

    def _rows(self, x: Any) -> Float[Tensor, "*example d"]:
        if isinstance(x, Activations):
            theirs = x.source.get("model_name", "")
            if self.model_name and theirs and self.model_name != theirs:
                raise ValueError(f"{self!r} belongs to the model {self.model_name!r}, not to {theirs!r}")
            x = x.at(self.site).flatten(1)
        rows = torch.as_tensor(x)
        if not rows.is_floating_point() or rows.shape[-1:] != (self.d,):
            raise ValueError(
                f"{self!r} reads floats of width {self.d}, got {rows.dtype} of shape {tuple(rows.shape)}: "
                f"give it the activations of {self.site}"
            )
        return rows if rows.dtype == torch.float64 else rows.float()

    def __repr__(self) -> str:
        return in_brief(self, self.k, self.d)

    def _repr_html_(self) -> str:
        import pandas as pd

        table = pd.DataFrame.from_dict(self.environments, orient="index")
        return f"<p>{escape(repr(self))}</p>{table.to_html(float_format='{:.3f}'.format)}"
