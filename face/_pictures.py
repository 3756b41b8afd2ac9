"""Pictures to files, without a screen."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INCHES = (7.0, 4.2)
DOTS_PER_INCH = 150


def blank() -> Axes:
    """Axes on a figure that no window shows."""
    return Figure(figsize=INCHES, layout="constrained").subplots()


def save_picture(axes: Axes, path: Path) -> None:
    """Write the figure that the axes are on as a PNG."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.savefig(path, dpi=DOTS_PER_INCH)
