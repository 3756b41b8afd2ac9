"""How well a model has learned TinyWorld: its loss against the floor, and what factors determine."""

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from conceptscope.worlds.tinyworld._numbers import held_out
from conceptscope.worlds.tinyworld._teller import END
from conceptscope.worlds.tinyworld._texts import Text, counterfactual, read, sample
from conceptscope.worlds.tinyworld._tokenizer import PAD, vocabulary


@dataclass(frozen=True)
class Evaluation:
    """The loss and its floor, in nats a token, and the accuracy on the tokens that each factor determines."""

    loss: float
    floor: float
    accuracy: dict[str, float]
    count: dict[str, int]

    @property
    def excess(self) -> float:
        """The loss above the floor, in nats a token."""
        return self.loss - self.floor


def held_out_sums(n: int, *, generator: int = 0) -> list[Text]:
    """Additions of pairs that are never seen in training."""
    pairs = [(a, b) for a in range(100) for b in range(100 - a) if held_out(a, b)]
    chosen = random.Random(generator).sample(pairs, min(n, len(pairs)))
    return [read(f"{a} plus {b} is {a + b}.") for a, b in chosen]


def negated_futures(n: int, *, generator: int = 0) -> list[Text]:
    """Stories with the held-out combination of negation and future, each with its consequence first."""
    found: list[Text] = []
    for text in _stories(generator):
        if len(found) == n:
            break
        f = text.factors
        first = text.choices.get("follow.0")
        if (
            f["tense"] == "past"
            and f["negation"]
            and not f["irony"]
            and first
            and first.value == "consequence"
        ):
            found.append(counterfactual(text, "tense", to="future"))
    return found


def _stories(generator: int) -> Iterator[Text]:
    rng = random.Random(generator)
    while True:
        yield from (text for text in sample(256, generator=rng) if text.factors["text"] == "story")


@torch.inference_mode()
def evaluate(model: PreTrainedModel, texts: Sequence[Text], *, batch_size: int = 256) -> Evaluation:
    """Evaluate on texts, each alone in its row after "<s>".

    Raises:
        ValueError: if there are no texts.
    """
    if not texts:
        raise ValueError("no texts to evaluate on, expected at least one")
    ids = {token: i for i, token in enumerate(vocabulary())}
    right: dict[str, list[bool]] = defaultdict(list)
    loss, floor, count = 0.0, 0.0, 0
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        logps = log_probabilities(model, batch, ids)
        for row, text in enumerate(batch):
            shown = torch.tensor([ids[w] for w in text.words])
            if min(text.logps) > -float("inf"):  # held-out combinations have no floor
                given = logps[row, : len(shown)].gather(1, shown[:, None].to(logps.device))
                loss -= float(given.double().sum())
                floor -= sum(text.logps)
                count += len(shown)
            for mark in text.marks:
                at = logps[row, mark.position]
                best, rival = (at[[ids[w] for w in words]].max() for words in (mark.right, mark.wrong))
                right[mark.factor].append(bool(best > rival))
    accuracy = {factor: sum(hits) / len(hits) for factor, hits in sorted(right.items())}
    count = max(count, 1)
    return Evaluation(loss / count, floor / count, accuracy, {f: len(right[f]) for f in accuracy})


def log_probabilities(model: PreTrainedModel, texts: Sequence[Text], ids: dict[str, int]) -> Tensor:
    """The log-probabilities of every next word: [text, word, vocab], padded on the right."""
    rows = [[ids[END], *(ids[w] for w in text.words[:-1])] for text in texts]
    width = max(map(len, rows))
    padded = torch.tensor([row + [ids[PAD]] * (width - len(row)) for row in rows], device=model.device)
    return model(input_ids=padded, use_cache=False).logits.float().log_softmax(-1)  # type: ignore[no-any-return]


def describe(evaluation: Evaluation) -> Iterable[str]:
    """The evaluation, a line a factor."""
    loss, floor, excess = evaluation.loss, evaluation.floor, evaluation.excess
    yield f"loss {loss:.4f} nats/token, floor {floor:.4f}, above the floor {excess:.4f}"
    for factor, accuracy in evaluation.accuracy.items():
        yield f"  {factor:<20} {accuracy:.3f}  (n = {evaluation.count[factor]})"
