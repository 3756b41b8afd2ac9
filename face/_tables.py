"""Results as tables for the screen."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from conceptscope._flips import Flips
from conceptscope.probes import ProbeSweep


def sweep_table(found: ProbeSweep) -> Table:
    """A sweep: one row a site, the best one in bold."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("site", "accuracy", "95 % interval", "AUROC", "shuffled", "random", "selectivity"):
        table.add_column(heading, justify="left" if heading == "site" else "right", no_wrap=True)
    for score in found.scores:
        numbers = (score.auroc, score.shuffled, score.random_direction, score.selectivity)
        table.add_row(
            str(score.site),
            f"{score.accuracy:.3f}",
            f"{score.accuracy_low:.3f} - {score.accuracy_high:.3f}",
            *(f"{number:.3f}" for number in numbers),
            style="bold" if score.site == found.best.site else "",
        )
    return table


SWEEP_KEY = (
    "Accuracy and AUROC are held out. Controls: shuffled labels; random directions with the activations' "
    "covariance. Selectivity: accuracy minus that on shuffled labels."
)


def flips_table(measured: Flips) -> Table:
    """How many words steering turns: one column a strength."""
    table = Table("words turned", *(f"{s:g} sd" for s in measured.strengths), box=SIMPLE_HEAD)
    table.add_row("along the concept", *(f"{share:.0%}" for share in measured.own), style="bold")
    table.add_row("random directions", *(f"{share:.0%}" for share in measured.random))
    return table
