"""The semi-empirical mass formula: its terms, those of its extensions, and its refit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from conceptscope.worlds.nuclei._nuclides import Nuclides

SEMI_EMPIRICAL = ("volume", "surface", "coulomb", "asymmetry", "pairing")
"""The terms of the formula of Bethe and Weizsäcker."""

_MAGIC = (2, 8, 20, 28, 50, 82, 126, 184)


def terms(
    z: Int64[Tensor, " nuclide"], n: Int64[Tensor, " nuclide"]
) -> dict[str, Float64[Tensor, " nuclide"]]:
    """Thirteen quantities of which binding energies are said to be made, by name.

    The first five are SEMI_EMPIRICAL. valence: of protons and of neutrons, how many there are beyond the
    closest closed shell or missing to it; promiscuity: their product over their sum.

    Source: arXiv 2405.17425, appendix; Kirson 2008 for what follows the first five.

    >>> iron = terms(torch.tensor([26]), torch.tensor([30]))
    >>> float(iron["volume"]), float(iron["promiscuity"])
    (56.0, 1.0)
    """
    protons, neutrons = z.double(), n.double()
    a = protons + neutrons
    excess = neutrons - protons
    valence = _valence(z) + _valence(n)
    promiscuity = _valence(z) * _valence(n) / valence.clamp(min=1)
    return {
        "volume": a,
        "surface": a ** (2 / 3),
        "coulomb": protons * (protons - 1) / a ** (1 / 3),
        "asymmetry": excess**2 / a,
        "pairing": ((z % 2 == 0).double() + (n % 2 == 0).double() - 1) / a**0.5,
        "surface asymmetry": excess**2 / a ** (4 / 3),
        "wigner": excess.abs() / a,
        "exchange": protons ** (4 / 3) / a ** (1 / 3),
        "curvature": a ** (1 / 3),
        "promiscuity": promiscuity,
        "squared promiscuity": promiscuity**2,
        "valence": valence,
        "constant": torch.ones_like(a),
    }


@dataclass(frozen=True)
class MassFormula:
    """Coefficients of terms in MeV, as fitted. rms: what they leave of the binding energies, in MeV."""

    coefficients: dict[str, float]
    rms: float

    def binding(
        self, z: Int64[Tensor, " nuclide"], n: Int64[Tensor, " nuclide"]
    ) -> Float64[Tensor, " nuclide"]:
        """Total binding energies in MeV."""
        known = terms(z, n)
        parts = [factor * known[name] for name, factor in self.coefficients.items()]
        return torch.stack(parts).sum(0)


def fit_mass_formula(data: Nuclides, names: Sequence[str] = SEMI_EMPIRICAL) -> MassFormula:
    """The coefficients that least squares gives the terms, each nuclide counted alike.

    Raises:
        KeyError: an unknown term.
        ValueError: fewer nuclides than terms, or no terms.

    >>> from conceptscope.worlds.nuclei import nuclides
    >>> fit_mass_formula(nuclides()).rms < 3.2
    True
    """
    known = terms(data.z, data.n)
    for name in names:
        if name not in known:
            raise KeyError(f"no term {name!r}: there are {', '.join(known)}")
    if not names or len(data) < len(names):
        raise ValueError(f"{len(names)} terms cannot be fitted to {len(data)} nuclides")
    columns = torch.stack([known[name] for name in names], 1)
    found = torch.linalg.lstsq(columns, data.binding[:, None], driver="gelsd").solution[:, 0]
    rms = float((columns @ found - data.binding).square().mean().sqrt())
    return MassFormula(dict(zip(names, found.tolist(), strict=True)), rms)


def _valence(numbers: Int64[Tensor, " nuclide"]) -> Float64[Tensor, " nuclide"]:
    return (numbers[:, None] - torch.tensor(_MAGIC)).abs().min(1).values.double()
