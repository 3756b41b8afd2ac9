"""Players, what they form together, and the target: the AND-OR graph of interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conceptscope.analyses._effects import Effect
from conceptscope.probes._axes import BLUE, GREY, ORANGE, given_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from conceptscope.analyses._found_effects import FoundEffects

_ROOT, _NODES = 2.0, 1.0


def plot_interaction_graph(found: FoundEffects, ax: Axes | None = None, *, n: int = 8) -> Axes:
    """Players below, the n strongest interactions above them, and the target on top.

    A node is & or |; edges are orange where the interaction raises the target and blue where it lowers it,
    the wider the stronger.

    Raises:
        ValueError: n is less than one.

    >>> import conceptscope as cs
    >>> model = cs.load_model("tinyworld")
    >>> found = cs.interactions(model, "the dog was not happy. it", cs.LogOdds("cried"))
    >>> len(cs.plot_interaction_graph(found, n=4).texts)  # four nodes, three players and the target
    8
    """
    if n < 1:
        raise ValueError(f"a graph needs at least one interaction, got n={n}")
    players, shown = found.players, found.strongest(n)
    ax = given_or_new(ax, width=max(6.0, 0.9 * len(players)), height=4)
    at = _places(shown, len(players))
    greatest = max((abs(one.value) for one in shown), default=1.0)
    middle = (len(players) - 1) / 2
    for one, x in zip(shown, at, strict=True):
        colour, width = ORANGE if one.value > 0 else BLUE, 0.5 + 4 * abs(one.value) / greatest
        ax.plot([x, middle], [_NODES, _ROOT], color=colour, linewidth=width, alpha=0.7, zorder=1)
        for player in one.indices:
            ax.plot([player, x], [0, _NODES], color=colour, linewidth=width, alpha=0.35, zorder=1)
        _node(ax, x, _NODES, f"{'&' if one.kind == 'and' else '|'}\n{one.value:+.2g}", colour)
    _node(ax, middle, _ROOT, found.target, GREY)
    taking_part = {player for one in shown for player in one.indices}
    for player, label in enumerate(players):
        ax.text(player, -0.08, label, ha="center", va="top", alpha=1.0 if player in taking_part else 0.4)
    ax.set_xlim(-0.7, max(len(players) - 0.3, 1))
    ax.set_ylim(-0.35, _ROOT + 0.25)
    ax.axis("off")
    return ax


def _node(ax: Axes, x: float, y: float, label: str, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": colour}
    ax.text(x, y, label, ha="center", va="center", fontsize="small", color="black", bbox=box, zorder=2)


def _places(shown: tuple[Effect, ...], n_players: int) -> list[float]:
    """Where the nodes stand: evenly spread, in the order of the middles of their players."""
    middles = [sum(one.indices) / len(one.indices) for one in shown]
    order = sorted(range(len(shown)), key=lambda number: (middles[number], shown[number].order))
    step = (n_players - 1) / max(len(shown) - 1, 1)
    places = {number: rank * step for rank, number in enumerate(order)}
    return [places[number] if len(shown) > 1 else middles[number] for number in range(len(shown))]
