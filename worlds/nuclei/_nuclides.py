"""Measured masses of nuclides, and the energies that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

TASKS: Mapping[str, str] = {
    "binding": "binding energy",
    "neutron": "separation energy of a neutron",
    "proton": "separation energy of a proton",
    "alpha": "energy of an alpha decay",
    "beta": "energy of a beta decay",
    "beta_neutron": "energy of a beta decay that sets a neutron free",
    "capture": "energy of an electron capture",
}
"""What a nuclide has an energy for."""

_REMEDY = "measured masses come from the package periodictable: pip install 'conceptscope[nuclei]'"


@dataclass(frozen=True, eq=False, repr=False)
class Nuclides:
    """Nuclides by their numbers of protons and neutrons, with their energies in MeV.

    energies: those of TASKS; nan where the mass of the nuclide that is left is not known.
    uncertainty: of the mass, in keV.
    """

    z: Int64[Tensor, " nuclide"]
    n: Int64[Tensor, " nuclide"]
    energies: Mapping[str, Float64[Tensor, " nuclide"]]
    uncertainty: Float64[Tensor, " nuclide"]

    def __len__(self) -> int:
        return len(self.z)

    @property
    def a(self) -> Int64[Tensor, " nuclide"]:
        """Numbers of nucleons."""
        return self.z + self.n

    @property
    def binding(self) -> Float64[Tensor, " nuclide"]:
        """Total binding energies in MeV."""
        return self.energies["binding"]

    def index(self, z: int, n: int) -> int:
        """The row of one nuclide.

        Raises:
            KeyError: it is not among these.
        """
        found = ((self.z == z) & (self.n == n)).nonzero()
        if not len(found):
            raise KeyError(f"no nuclide with {z} protons and {n} neutrons among these {len(self)}")
        return int(found)

    def at(self, rows: Bool[Tensor, " nuclide"] | Int64[Tensor, " row"]) -> Nuclides:
        """Some of them."""
        energies = {task: values[rows] for task, values in self.energies.items()}
        return Nuclides(self.z[rows], self.n[rows], energies, self.uncertainty[rows])

    def to_frame(self) -> pd.DataFrame:
        """One row a nuclide: z, n, the energies, the uncertainty."""
        import pandas as pd

        columns = {"z": self.z, "n": self.n, **self.energies, "uncertainty": self.uncertainty}
        return pd.DataFrame({name: values.numpy() for name, values in columns.items()})

    def __repr__(self) -> str:
        return f"Nuclides({len(self)}: Z {_range(self.z)}, N {_range(self.n)})"


def nuclides(*, above: int = 8, uncertainty: float | None = None) -> Nuclides:
    """The nuclides whose masses were measured, not extrapolated from those of others.

    above: only those with more protons and more neutrons than that. uncertainty: only masses that are known
    to so many keV; 100 leaves out a twentieth. The package periodictable has the masses.

    Raises:
        ImportError: without the package periodictable.
        ValueError: no nuclide is left.

    >>> known = nuclides()
    >>> iron = known.index(26, 30)
    >>> round(float(known.binding[iron] / known.a[iron]), 3)
    8.79
    """
    table = _measured()
    everything = _with_energies(table)
    kept = (everything.z > above) & (everything.n > above)
    if uncertainty is not None:
        kept &= everything.uncertainty < uncertainty
    if not kept.any():
        raise ValueError(f"no nuclide has above={above} protons and neutrons and uncertainty={uncertainty}")
    return everything.at(kept)


@dataclass(frozen=True)
class _Masses:
    """Atomic masses and their uncertainties in MeV; rows are protons, neutrons, mass, uncertainty."""

    rows: Float[np.ndarray, "nuclide 4"]
    neutron: float


def _measured() -> _Masses:
    """The rows of the package's table that have no mark of an extrapolation."""
    try:
        import periodictable
        from periodictable import constants
        from periodictable.mass import isotope_mass
        from periodictable.util import parse_uncertainty
    except ImportError as error:
        raise ImportError(_REMEDY) from error
    unit = constants.atomic_mass_constant * constants.speed_of_light**2 / constants.electron_volt / 1e6
    rows = []
    for line in isotope_mass.splitlines():
        name, mass = line.split(",")[:2]
        if mass.endswith("#"):
            continue
        z, _, a = name.split("-")
        value, off = _numbers(parse_uncertainty(mass))
        rows.append((int(z), int(a) - int(z), value * unit, off * unit))
    return _Masses(np.array(rows), float(periodictable.neutron.mass) * unit)


def _numbers(parsed: Any) -> tuple[float, float]:
    value, off = parsed
    return float(value), float(off)


def _with_energies(masses: _Masses) -> Nuclides:
    z, n = masses.rows[:, 0].astype(int), masses.rows[:, 1].astype(int)
    hydrogen = float(masses.rows[(z == 1) & (n == 0), 2].item())
    binding = z * hydrogen + n * masses.neutron - masses.rows[:, 2]
    table = np.full((z.max() + 2, n.max() + 2), np.nan)
    table[z, n] = binding
    heavier = masses.neutron - hydrogen

    def left(protons: int, neutrons: int) -> Float[np.ndarray, " nuclide"]:
        """The binding energies of the nuclides with so many more protons and neutrons."""
        to_z, to_n = z + protons, n + neutrons
        inside = (to_z >= 0) & (to_n >= 0)
        return np.where(inside, table[to_z, to_n], np.nan)

    energies = {
        "binding": binding,
        "neutron": binding - left(0, -1),
        "proton": binding - left(-1, 0),
        "alpha": left(-2, -2) + table[2, 2] - binding,
        "beta": left(1, -1) - binding + heavier,
        "beta_neutron": left(1, -2) - binding + heavier,
        "capture": left(-1, 1) - binding - heavier,
    }
    return Nuclides(
        torch.from_numpy(z),
        torch.from_numpy(n),
        {task: torch.from_numpy(values) for task, values in energies.items()},
        torch.from_numpy(1000 * masses.rows[:, 3]),
    )


def _range(numbers: Int64[Tensor, " nuclide"]) -> str:
    return f"{int(numbers.min())} to {int(numbers.max())}"
