"""Packages that are needed for one thing only."""

from __future__ import annotations

import importlib
from typing import Any


def optional(package: str, remedy: str) -> Any:
    """A package that comes with no other.

    Raises:
        ImportError: it is not installed, or does not load beside the other packages; this says the remedy.
    """
    try:
        return importlib.import_module(package)
    except (ImportError, AttributeError) as error:  # numpy 2 lacks a name that repeng uses
        raise ImportError(f"{package} cannot be loaded ({error}): {remedy}") from error
