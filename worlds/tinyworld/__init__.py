"""TinyWorld: small English with an answer key, and the transformers that were trained on it.

A text is a short story, a sum, or a statement with its verdict. Each is sampled from named factors:
sentiment, negation, irony, tense, number, gender, category (eight kinds of things, and people), size, colour,
truth (of capitals, kinds and comparisons), and the integers 0 to 99 with their sums and successors. Every
factor determines a later word, and the probability of every word given those before it is known exactly.

What makes it hard:

- Valence is sentiment turned by negation (27 % of stories not told in the future) and turned again by the
  irony marker "oddly" (3 % of stories): no bag of words reads it.
- Size goes with sentiment: 85 % of large things are well, 85 % of small ones are not.
- Adjectives and nouns have synonyms, the k-th 1/k and 1/sqrt(k) as frequent as the first; phrases such as
  "near the awful cars" carry another number and another sentiment than the subject's.
- Frequencies differ: tense, number and sentiment are in every story, size in 53 %, colour in 26 %, a gendered
  pronoun in 20 %, irony in 3 %. Of all texts 32 % are stories, 30 % sums, 15 % comparisons, 11 % kinds, 8 %
  capitals, 4 % successors.
- Held out, never together in training: negation with the future ("will not be"); irony with a plural subject;
  and one in ten unordered pairs of addends.
- The label "coin" is determined by nothing.
"""

from importlib.resources import files
from pathlib import Path

from conceptscope.worlds.tinyworld._examples import FACTORS, LabelledTexts, examples
from conceptscope.worlds.tinyworld._numbers import held_out
from conceptscope.worlds.tinyworld._tellers import Mark
from conceptscope.worlds.tinyworld._texts import CHANGEABLE, Text, counterfactual, read, sample

__all__ = [
    "CHANGEABLE",
    "FACTORS",
    "LabelledTexts",
    "Mark",
    "Text",
    "checkpoints_path",
    "counterfactual",
    "examples",
    "held_out",
    "read",
    "sample",
    "weights_path",
]


def weights_path() -> Path:
    """The folder of the embedded model, as Hugging Face's `save_pretrained` leaves it."""
    return Path(str(files("conceptscope.worlds.tinyworld") / "weights"))


def checkpoints_path() -> Path:
    """The folder of the smaller sibling's checkpoints, one folder each, named after the steps."""
    return Path(str(files("conceptscope.worlds.tinyworld") / "checkpoints"))
