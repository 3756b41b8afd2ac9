"""Pictures of topographies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from conceptscope.probes._axes import given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from conceptscope.analyses._topography_result import Topography

_FEW, _NAMED = 10, 20
"""Classes that a palette tells apart; more get colours along a circle."""


def plot_topography(found: Topography, ax: Axes | None) -> Axes:
    """The first two directions as a map, others half-way, and the data in the colour of their output."""
    ax = given_or_new(ax, width=6, height=5)
    middle = {n: float(axis[[0, -1]].mean()) for n, axis in enumerate(found.axes) if n > 1}
    flat = found.slice(middle)
    across, up = flat.axes
    seen = [flat.values.ravel()] if flat.data is None else [flat.values.ravel(), flat.data.values]
    low, high = float(np.min(np.concatenate(seen))), float(np.max(np.concatenate(seen)))
    colours: dict[str, Any] = {"cmap": _palette(found), "vmin": low, "vmax": high}
    if found.labels is not None:
        colours |= {"vmin": -0.5, "vmax": len(found.labels) - 0.5}
    image = ax.pcolormesh(across, up, flat.values.T, shading="nearest", rasterized=True, **colours)
    if flat.data is not None:
        x, y = flat.data.coordinates.T
        ax.scatter(x, y, c=flat.data.values, s=22, edgecolors="black", linewidths=0.6, **colours)
        ax.set_title(f"agreement {flat.data.agreement:.2f}", fontsize="medium")
    bar = ax.figure.colorbar(image, ax=ax)
    if found.labels is not None and len(found.labels) <= _NAMED:
        bar.set_ticks(range(len(found.labels)), labels=[str(label) for label in found.labels])
    ax.set(xlabel="direction 0", ylabel="direction 1")
    return ax


def _palette(found: Topography) -> Colormap:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    if found.labels is None:
        return colormaps["viridis"]
    count = len(found.labels)
    if count > _NAMED:
        return colormaps["hsv"]
    return ListedColormap(
        [colormaps["tab10" if count <= _FEW else "tab20"](number) for number in range(count)]
    )
