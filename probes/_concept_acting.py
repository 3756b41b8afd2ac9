"""How the model is moved along a concept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from conceptscope.hooks import AffineEdit, Intervention, Site
from conceptscope.hooks._positions import Position
from conceptscope.probes._concept_reading import ReadableConcept
from conceptscope.probes._edits import ConceptEdit, levelling, mirroring, moved, per_direction, rise
from conceptscope.probes._metric import Metric, read_in, steered_in
from conceptscope.probes._rotation import Rotation
from conceptscope.probes._single import check_single


class ActingConcept(ReadableConcept):
    """A concept that makes interventions."""

    @property
    def vector(self) -> Float[Tensor, " d"]:
        """What `add(1.0)` adds: one standard deviation of the readings, in activation units.

        Raises:
            ValueError: the readings depend on one another and cannot all rise.
        """
        return rise(self, 1.0).to(self.reading)

    def add(
        self, amount: Any, *, positions: Position = "all", site: Site | str | None = None, force: bool = False
    ) -> Intervention:
        """An intervention after which the reading has risen by amount, in standard deviations.

        amount: one number for all k directions, or k of them.
        site: another site than the concept's own, which force=True must allow, as it must another model.

        Raises:
            ValueError: readings that depend on one another and cannot change so, or another site.
        """
        act = AffineEdit(rise(self, amount))
        return self._intervention(act, f"add {amount}", positions, site, force, act)

    def set(
        self,
        value: Any,
        *,
        metric: Metric = None,
        positions: Position = "all",
        site: Site | str | None = None,
        force: bool = False,
    ) -> Intervention:
        """An intervention after which the reading is value, in standard deviations; arguments as in `add`.

        metric: None moves along the steering directions. A covariance S [d, d] moves to the nearest
            activation that reads so, distances being measured by the inverse of S: along A S, which stays
            near to what occurs if S is that of activations. "orthogonal" is the same with the identity.

        Raises:
            ValueError: readings that depend on one another and cannot be so, a metric that is none, or
                another site.
        """
        target = per_direction(self, value).to(self.reading)
        goal = target * self.scale + self.offset
        along = steered_in(self, metric)
        act = moved(along, lambda reading: target.to(reading), reaches=goal)
        return self._intervention(act, f"set {value}", positions, site, force, levelling(along, goal))

    def erase(
        self,
        *,
        metric: Metric = None,
        positions: Position = "all",
        site: Site | str | None = None,
        force: bool = False,
    ) -> Intervention:
        """An intervention that takes the concept out of activations; other arguments as in `add`.

        metric: with None the reading becomes its mean on the fit data, along the steering directions. With
            "orthogonal" it does so along the reading directions: activations move less, and other probes may
            find the classes still. With a covariance S [d, d] of the activations it is LEACE's map: what an
            activation has of the steering directions, judged by the inverse of S, goes, and the concept's own
            reading may vary still. Where steering directions are differences of class means, as those of
            all extractors of classes are, None and a covariance leave equal class means on the fit data.

        Raises:
            ValueError: a metric that is none, or another site.

        Source: Belrose et al., arXiv 2306.03819, theorems 3.1 and 4.2.
        """
        along = read_in(self, metric) if isinstance(metric, Tensor) else steered_in(self, metric)
        target = along.read(self.mean)
        act = moved(along, lambda reading: target.to(reading))
        affine = levelling(along, along.reading.double() @ self.mean.double())
        return self._intervention(act, "erase", positions, site, force, affine)

    def reflect(
        self, *, positions: Position = "all", site: Site | str | None = None, force: bool = False
    ) -> Intervention:
        """An intervention after which the reading has the other sign; arguments as in `add`.

        The mirror is where the reading is zero: the decision boundary, so that the other class is predicted,
        or the mean of a concept without classes.

        Raises:
            ValueError: readings that depend on one another, or another site.
        """
        act = mirroring(self)
        return self._intervention(act, "reflect", positions, site, force, act)

    def rotate(
        self,
        angle: float,
        *,
        positions: Position = "all",
        site: Site | str | None = None,
        force: bool = False,
    ) -> Intervention:
        """An intervention that turns each activation by an angle in degrees, and leaves it as long as it was.

        It turns about the origin, in the plane of the activation and the steering direction: by a positive
        angle towards that direction (and past it, if it lies nearer than the angle), by a negative one away
        from it. Other arguments as in `add`.

        Raises:
            ValueError: more than one direction, an angle that is not finite, or another site.

        Source: Vu and Nguyen, arXiv 2510.26243 (steering by rotation; their plane is the same for all
        activations, this one is each activation's own).
        """
        check_single(self)
        if not math.isfinite(angle):
            raise ValueError(f"the angle must be a finite number of degrees, got {angle}")
        act = Rotation(self.steering[0], angle)
        return self._intervention(act, f"rotate {angle}", positions, site, force)

    def clamp(
        self,
        low: float | None = None,
        high: float | None = None,
        *,
        positions: Position = "all",
        site: Site | str | None = None,
        force: bool = False,
    ) -> Intervention:
        """An intervention after which the reading lies between low and high; None leaves a side open.

        Raises:
            ValueError: no bounds, low above high, readings that depend on one another, or another site.
        """
        if (low is None and high is None) or (low is not None and high is not None and low > high):
            raise ValueError(f"clamp needs a lower or a higher bound, the lower one first, got {low}, {high}")
        act = moved(self, lambda reading: reading.clamp(low, high), independent=True)
        return self._intervention(act, f"clamp {low} to {high}", positions, site, force)

    def _intervention(
        self,
        act: Callable[[Tensor], Tensor],
        what: str,
        positions: Position,
        site: Site | str | None,
        force: bool,
        affine: AffineEdit | None = None,
    ) -> Intervention:
        there = self.site if site is None else Site.parse(site)
        self._check("site", self.site, there, force)
        name = f"{self.name or self.method or 'concept'}: {what}"
        edit = ConceptEdit(self, act, "" if force else self.model_name, affine)
        return Intervention(there, edit, positions=positions, name=name)
