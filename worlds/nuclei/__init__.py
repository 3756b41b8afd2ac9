"""Nuclides: measured masses, formulas for them, and the small model that learns them."""

from conceptscope.worlds.nuclei._formula import SEMI_EMPIRICAL, MassFormula, fit_mass_formula, terms
from conceptscope.worlds.nuclei._model import NuclearModel
from conceptscope.worlds.nuclei._nuclides import TASKS, Nuclides, nuclides
from conceptscope.worlds.nuclei._training import PAPER, NuclearRun, Recipe, train

__all__ = [
    "PAPER",
    "SEMI_EMPIRICAL",
    "TASKS",
    "MassFormula",
    "NuclearModel",
    "NuclearRun",
    "Nuclides",
    "Recipe",
    "fit_mass_formula",
    "nuclides",
    "terms",
    "train",
]
