"""The contrastive learner of affine concepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import Activations, Site
from conceptscope.hooks._random import torch_generator
from conceptscope.probes._concept import Concept
from conceptscope.probes._contrastive_training import Learned, Learners, train
from conceptscope.probes._encoded_concept import EncodedConcept
from conceptscope.probes._encoder import Encoder
from conceptscope.probes._environments import Environments
from conceptscope.probes._partial_whitening import partial_whitening
from conceptscope.probes._rows import Rows

_METHOD = "affine contrastive"
_WIDE = 1e4
"""Variances above this one, in units of the base set's, are not told from infinite ones."""

_FLOOR = 1e-3
"""The variance, relative to the mean over all axes, below which axes are not stretched to the same size."""


@dataclass(frozen=True)
class AffineContrastive:
    """The contrastive learner of affine concepts {A x = b}, from a base set and sets that condition on them.

    Labels say which environment an example is of, and "base" that it is of the base set, which conditions on
    nothing. An encoding v is learned for each concept, such that alpha + beta v - (lambda v)^2 are the
    log-odds of an environment against the base set. That is what they are where the environment's density is
    the base set's times a Gaussian in v, of variance 1 / (2 lambda^2) around b = beta / (2 lambda^2).
    The base set must be drawn as the environments are in all other respects (sentences of either sentiment
    beside sets of one): whatever else tells them apart is found in the concept's place. `identifiability`
    says whether the environments determine the concepts.

    encoder: "linear" gives a `Concept`, with a row for each concept in the order of their numbers. The
    reading direction is a, the encoder's row; the steering direction is Sigma a, with the covariance of the
    base set: where that is Gaussian, conditioning moves its mean there. The two differ, and a difference of
    means goes along the latter. A reading is zero at the base set's mean and has its standard deviation as
    unit; it is higher in the concept's last environment. Erasure leaves the base set's activations without
    covariance with what was read; a probe may still tell environments apart.
    "mlp" adds hidden units, for concepts of which activations are no linear function. It gives an
    `EncodedConcept`, which reads but cannot steer.

    `concept.source` holds, in "environments", each one's concept, valuation (b, as `valuation` has it) and
    variance, both infinite where it does not narrow the concept; and in "held_out_loss" each concept's cross
    entropy for a pair of rows, of which 2 log 2 = 1.386 means that nothing was learned.

    targets: the number of each environment's concept, from 0; None gives each environment one of its own, in
    sorted order. An environment conditions on one concept.
    epochs, batch_size: of Adam with a cosine schedule, its rates .05 for heads and .005 for encoders; small
    sets are gone through several times in an epoch.
    C: the inverse penalty on weights, as in `Logistic`; with many examples it hardly matters.
    restarts: the loss has several minima, so many encoders are trained side by side; for each concept the one
    with the least held-out loss is kept, at its best epoch.
    folds: one of so many parts is held out for this, never a part of a group or pair.
    hidden: the number of hidden units of the encoder "mlp".

    Raises:
        TypeError: generator is neither a seed nor a torch.Generator.
        ValueError: an unknown encoder, or settings that are not positive.

    Source: Rajendran et al., arXiv 2402.09236 (the contrastive algorithm). Restarts, the penalty and inputs
    that are whitened down to a thousandth of the mean variance, so that directions of little variance are
    learned as fast, are not in the paper.

    >>> import conceptscope as cs
    >>> from conceptscope.worlds.affine import isotropic
    >>> data = isotropic(per_environment=400)
    >>> acts = cs.Activations({"resid_post.0": data.x}, data.labels)
    >>> cs.AffineContrastive(targets=data.targets, epochs=20).fit(acts)
    Concept('e0/e1/e2/e3', resid_post.0, (2, 4), affine contrastive)
    """

    encoder: Literal["linear", "mlp"] = "linear"
    targets: Mapping[str, int] | None = None
    epochs: int = 100
    batch_size: int = 2048
    C: float = 1.0
    restarts: int = 4
    folds: int = 5
    hidden: int = 32
    generator: int | torch.Generator = 0

    def __post_init__(self) -> None:
        if self.encoder not in ("linear", "mlp"):
            raise ValueError(f"encoder is 'linear' or 'mlp', got {self.encoder!r}")
        counts = {name: getattr(self, name) for name in ("epochs", "batch_size", "restarts", "hidden")}
        if min(counts.values()) < 1:
            raise ValueError(
                f"{', '.join(counts)} must be positive, got {', '.join(map(str, counts.values()))}"
            )
        if not self.C > 0:
            raise ValueError(f"C must be positive, got {self.C}")
        torch_generator(self.generator)

    def fit(self, activations: Activations, site: Site | str | None = None) -> Concept | EncodedConcept:
        """The concepts at a site, which may be left out when only one was captured.

        Raises:
            KeyError: the site was not captured.
            ValueError: no labels, none of them "base" or all of them, targets for other environments or with
                gaps between their numbers, an environment with fewer examples (or groups) than folds, or
                activations that are NaN, infinite or the same in every row.
        """
        seeded = self._seeded()
        sets = Environments.of(activations, site, self.targets)
        centre = sets.data.x.mean(0)
        centred = sets.data.x - centre
        fold = partial_whitening(centred, _FLOOR)
        stretch = fold.norm(dim=0) * centred.square().mean().sqrt()
        learned = seeded._learned((centred @ fold).float(), stretch.float(), sets)
        encoder = learned.encoder.of_inputs(centre, fold)
        unit = _unit(encoder, sets)
        found = encoder.times(unit)
        source = {
            "n_examples": len(centred),
            "environments": _readout(learned, sets, unit, shift=found.linear @ centre),
            "held_out_loss": learned.loss.tolist(),
        }
        return seeded._concept(found, sets, source)

    def _seeded(self) -> AffineContrastive:
        """The same with a seed in place of a generator, and a dictionary of targets: what a file can hold."""
        targets, seed = None if self.targets is None else dict(self.targets), self.generator
        if isinstance(seed, torch.Generator):
            seed = int(torch.randint(2**62, (), generator=seed, device=seed.device))
        return replace(self, targets=targets, generator=int(seed))

    def _learned(
        self,
        inputs: Float[Tensor, "example coordinate"],
        stretch: Float[Tensor, " coordinate"],
        sets: Environments,
    ) -> Learned:
        rng = torch_generator(self.generator)
        held_out = sets.held_out(self.folds, int(torch.randint(2**31, (), generator=rng)))
        hidden = self.hidden if self.encoder == "mlp" else 0
        learners = Learners(stretch, hidden, sets.targets, self.restarts, rng)
        schedule = {"epochs": self.epochs, "batch_size": self.batch_size}
        return train(learners, inputs, sets.number, held_out, c=self.C, rng=rng, **schedule)

    def _concept(
        self, encoder: Encoder, sets: Environments, source: dict[str, Any]
    ) -> Concept | EncodedConcept:
        name, settings = "/".join(sets.names), asdict(self)
        base = Rows(sets.data.site, sets.data.activations, sets.base)
        if self.encoder == "linear":
            centred = base.x - base.x.mean(0)
            reading = encoder.linear
            return base.make_concept(
                self,
                reading,
                (reading @ centred.T) @ centred / len(centred),
                reading @ base.x.mean(0),
                method=_METHOD,
                name=name,
                settings=settings,
                source=source,
            )
        encodings, about = encoder(base.x), base.activations.source
        return EncodedConcept(
            encoder.to(base.dtype),
            encodings.mean(0).to(base.dtype),
            encodings.std(0).to(base.dtype),
            site=base.site,
            position=about.get("position"),
            name=name,
            method=_METHOD,
            model_name=about.get("model_name", ""),
            source={**source, "settings": settings},
        )


def _unit(encoder: Encoder, sets: Environments) -> Float[Tensor, " concept"]:
    """What encodings are multiplied by to vary by one on the base set, and to rise in the last environment.

    Raises:
        ValueError: encodings that are the same for the whole base set.
    """
    encodings = encoder(sets.data.x)
    base = encodings[sets.number < 0]
    deviation = base.std(0)
    if not (deviation > 0).all():
        raise ValueError(
            f"the encodings of the base set at {sets.data.site} are the same: give it examples that differ"
        )
    last = torch.tensor([(sets.targets == k).nonzero().max() for k in range(len(deviation))])
    inside = (sets.number[:, None] == last.to(sets.number.device)).to(encodings)
    risen = (encodings * inside).sum(0) / inside.sum(0) - base.mean(0)
    return torch.where(risen < 0, -1, 1) / deviation


def _readout(
    learned: Learned, sets: Environments, unit: Float[Tensor, " concept"], shift: Float[Tensor, " concept"]
) -> dict[str, dict[str, float]]:
    """For each environment its concept, its valuation and its variance, in units of the encodings."""
    targets = sets.targets
    variance = 0.5 / learned.lambda_.double().square() * unit[targets].square()
    valuation = learned.beta.double() / unit[targets] * variance + shift[targets]
    narrows, endless = variance < _WIDE, torch.full_like(variance, torch.inf)
    columns = (
        targets,
        valuation.where(narrows, endless.copysign(valuation)),
        variance.where(narrows, endless),
    )
    return {
        name: {"concept": concept, "valuation": b, "variance": s2}
        for name, concept, b, s2 in zip(sets.names, *(column.tolist() for column in columns), strict=True)
    }
