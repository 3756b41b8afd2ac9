"""The README's picture of concept space over training: `python benchmarks/trajectory_picture.py OUT.png`."""

import sys
from collections import defaultdict

import matplotlib
import torch

import conceptscope as cs
from conceptscope.worlds import tinyworld
from conceptscope.worlds.tinyworld._texts import write

VERBS = {"was", "were", "is", "are"}
TOKENS = {
    "tense": {"past": ["was", "were"], "present": ["is", "are"]},
    "number": {"singular": ["was", "is"], "plural": ["were", "are"]},
}


def main(out: str) -> None:
    matplotlib.use("Agg")
    torch.set_num_threads(1)
    prompts, texts, labels = defaultdict(list), [], {name: [] for name in TOKENS}
    for text in tinyworld.sample(6000, generator=5):
        kinds = text.factors
        mark = next((mark for mark in text.marks if mark.factor == "tense"), None)
        if (
            kinds["text"] != "story"
            or kinds["irony"]
            or mark is None
            or text.words[mark.position] not in VERBS
        ):
            continue
        texts.append(write(text.words[: mark.position]))
        prompts[f"{kinds['tense']} {kinds['number']}"].append(texts[-1])
        for name in TOKENS:
            labels[name].append(kinds[name])
    concepts = {name: cs.Examples(texts[:400], labels[name][:400]) for name in TOKENS}
    found = cs.trajectory(
        cs.checkpoints("tinyworld"),
        concepts,
        prompts={name: given[:100] for name, given in prompts.items()},
        of="outputs",
        tokens=TOKENS,
        smooth=1.0,
    )
    found.plot().figure.savefig(out, dpi=100)
    print(found.learning_time())


if __name__ == "__main__":
    main(sys.argv[1])
