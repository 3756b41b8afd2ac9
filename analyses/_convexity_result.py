"""How convex the regions of classes are, by site."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import UInt8
from torch import Tensor

from conceptscope.hooks import Site
from conceptscope.probes._result_html import table_html

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ClassConvexity:
    """One class at one site; a pair is an ordered pair of its rows (graph), or a segment (euclidean).

    score: the mean over pairs of the share of points between that are in the class.
    strict: pairs with all of them in it; direct: neighbours, with nothing between; disconnected: joined by no
    way. chance: the mean score over permutations of the labels; p: the share of permutations (and one more)
    with as great a score; se: the standard error. What was not asked for is None.
    """

    label: Any
    n_rows: int
    score: float
    strict: float
    direct: float | None
    disconnected: float | None
    chance: float | None
    p: float | None
    se: float | None


@dataclass(frozen=True)
class SiteConvexity:
    """All classes at one site. mean: over classes; pooled: over all pairs; papers call either convexity.

    chance, p and se are of the mean. degree_skew: of the graph; hubs make it large, and chance scatter.
    """

    site: Site
    classes: tuple[ClassConvexity, ...]
    mean: float
    pooled: float
    chance: float | None
    p: float | None
    se: float | None
    degree_skew: float | None


@dataclass(frozen=True, repr=False)
class Convexity:
    """How convex the region of each class is, site by site; see `convexity`, whose arguments it keeps.

    kind: "graph" or "euclidean". ``convexity["resid_post.6"]`` is that of one site.
    """

    sites: tuple[SiteConvexity, ...]
    kind: str
    n_rows: int
    settings: dict[str, Any]
    source: dict[str, Any] = field(default_factory=dict)
    generator_state: UInt8[Tensor, " byte"] | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> SiteConvexity:
        """The site whose mean is the farthest above chance, or the greatest where chance is not known."""
        return max(self.sites, key=lambda one: one.mean - (one.chance or 0.0))

    def __getitem__(self, site: str | Site) -> SiteConvexity:
        """One site.

        Raises:
            KeyError: it was not measured.
        """
        wanted = Site.parse(site)
        for one in self.sites:
            if one.site == wanted:
                return one
        raise KeyError(f"no convexity at {wanted}: there is {', '.join(str(one.site) for one in self.sites)}")

    def to_frame(self) -> pd.DataFrame:
        """One row a site and class: score, chance, p, se, strict, direct, disconnected, n_rows."""
        import pandas as pd

        rows = [
            {"site": str(one.site), "class": own.label, "score": own.score, "chance": own.chance}
            | {"p": own.p, "se": own.se, "strict": own.strict, "direct": own.direct}
            | {"disconnected": own.disconnected, "n_rows": own.n_rows}
            for one in self.sites
            for own in one.classes
        ]
        return pd.DataFrame(rows).set_index(["site", "class"])

    def means(self) -> pd.DataFrame:
        """One row a site: the mean over classes, the pooled mean, chance, p, se, degree skew."""
        import pandas as pd

        rows = [
            {"site": str(one.site), "mean": one.mean, "pooled": one.pooled, "chance": one.chance}
            | {"p": one.p, "se": one.se, "degree_skew": one.degree_skew}
            for one in self.sites
        ]
        return pd.DataFrame(rows).set_index("site")

    def plot(self, ax: Axes | None = None) -> Axes:
        """The mean over classes by layer with its interval, each class as a thin line, and chance."""
        from conceptscope.analyses._convexity_plot import plot_convexity

        return plot_convexity(self, ax)

    def __repr__(self) -> str:
        best = self.best
        chance = "" if best.chance is None else f", chance {best.chance:.3f}"
        se = "" if best.se is None else f" +- {best.se:.3f}"
        return (
            f"Convexity({self.kind}, {len(self.sites)} sites, {len(best.classes)} classes, "
            f"{self.n_rows} rows; best {best.site}: {best.mean:.3f}{se}{chance})"
        )

    def _repr_html_(self) -> str:
        about = f"{self.kind} convexity of {len(self.best.classes)} classes, {self.n_rows} rows"
        return table_html(about, self.means().reset_index())
