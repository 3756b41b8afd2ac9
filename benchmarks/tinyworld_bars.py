"""Whether a trained TinyWorld meets its bars: `python benchmarks/tinyworld_bars.py [FOLDER ...]`."""

import argparse
import copy
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from _tables import VERDICTS, show
from rich.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import kneighbors_graph

from conceptscope.hooks import (
    Activations,
    HookedModel,
    Intervention,
    add_vector,
    capture,
    intervene,
    load_examples,
    load_model,
    next_token_logits,
)
from conceptscope.probes import Concept, Logistic, MeanDifference, sweep
from conceptscope.worlds import tinyworld
from conceptscope.worlds.tinyworld._evaluate import (
    evaluate,
    held_out_sums,
    log_probabilities,
    negated_futures,
)
from conceptscope.worlds.tinyworld._tokenizer import vocabulary

IDS = {token: i for i, token in enumerate(vocabulary())}


@dataclass(frozen=True)
class Bar:
    """A measured value and the range that it must lie in."""

    name: str
    value: float
    low: float = -float("inf")
    high: float = float("inf")

    @property
    def met(self) -> bool:
        return self.low <= self.value <= self.high


def cuts(
    factor: str, keep: Callable[[tinyworld.Text], bool], n: int, seed: int
) -> list[tuple[tinyworld.Text, tinyworld.Mark]]:
    """Stories that fit, each with its first word that `factor` determines."""
    found: list[tuple[tinyworld.Text, tinyworld.Mark]] = []
    rng = random.Random(seed)
    while len(found) < n:
        for text in tinyworld.sample(256, generator=rng):
            if text.factors["text"] == "story" and keep(text):
                marks = [mark for mark in text.marks if mark.factor == factor]
                found += [(text, marks[0])] if marks else []
    return found[:n]


def prefix(text: tinyworld.Text, mark: tinyworld.Mark) -> str:
    return " ".join(text.words[: mark.position])


def plain(text: tinyworld.Text) -> bool:
    return not text.factors["negation"] and not text.factors["irony"]


def learning(model: HookedModel) -> Iterator[Bar]:
    heard = evaluate(model.hf, list(tinyworld.sample(6000, generator=12_345)))
    yield Bar("loss above the floor (nats/token)", heard.excess, high=0.010)
    lows = {
        "addition": 0.98,
        "truth_capital": 0.98,
        "truth_kind": 0.98,
        "truth_comparison": 0.98,
        "colour": 0.95,
    }
    for factor, accuracy in heard.accuracy.items():
        yield Bar(f"accuracy on what {factor} determines", accuracy, low=lows.get(factor, 0.99))
    sums = evaluate(model.hf, held_out_sums(600, generator=1))
    yield Bar("held-out sums", sums.accuracy["addition_held_out"], low=0.95)


def probes(model: HookedModel, untrained: HookedModel) -> Iterator[Bar]:
    data = load_examples("tinyworld/valence")
    trained, init = (
        sweep(capture(m, data), Logistic(), controls=False).to_frame()["accuracy"].max()
        for m in (model, untrained)
    )
    yield Bar("valence probe, trained minus random init", trained - init, low=0.25)
    coin = sweep(capture(model, load_examples("tinyworld/coin")), MeanDifference(), controls=False).to_frame()
    yield Bar("coin probe, lowest layer", coin["accuracy"].min(), low=0.45)
    yield Bar("coin probe, highest layer", coin["accuracy"].max(), high=0.55)


def confound(model: HookedModel) -> Iterator[Bar]:
    def sized(text: tinyworld.Text) -> bool:
        return plain(text) and text.factors["size"] is not None

    def against(text: tinyworld.Text) -> bool:
        return sized(text) and (text.factors["size"] == "large") != (text.factors["sentiment"] == "positive")

    fit, anti = cuts("size", sized, 600, 1), cuts("size", against, 300, 2)
    acts, anti_acts = (capture(model, [prefix(*c) for c in some]) for some in (fit, anti))

    def labels(some: list[tuple[tinyworld.Text, tinyworld.Mark]], factor: str) -> list[str]:
        return [str(text.factors[factor]) for text, _ in some]

    truth = np.array(labels(anti, "size"))
    for layer in range(1, 4):
        site = f"resid_post.{layer}"
        size, sentiment = (
            MeanDifference().fit(Activations({site: acts[site]}, labels(fit, factor)))
            for factor in ("size", "sentiment")
        )
        wrong_way = np.mean(np.array(size.predict(anti_acts[site])) == truth)
        # "small" is the later class and goes with "negative", the earlier one
        cosine = -float(size.cosine(sentiment))
        bars = ({"high": 0.30}, {"low": 0.90}) if layer == 1 else ({}, {})
        yield Bar(
            f"size at layer {layer + 1}: mean difference on anti-confound texts", float(wrong_way), **bars[0]
        )
        yield Bar(f"size at layer {layer + 1}: its cosine to sentiment", cosine, **bars[1])
        lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
            acts[site].numpy(), labels(fit, "size")
        )
        right = np.mean(lda.predict(anti_acts[site].numpy()) == truth)
        yield Bar(
            f"size at layer {layer + 1}: LDA on anti-confound texts",
            float(right),
            **({"low": 0.95} if layer > 1 else {}),
        )


def flips(model: HookedModel) -> Iterator[Bar]:
    now = ("past", "present")
    wanted: dict[str, Callable[[tinyworld.Text], bool]] = {
        "sentiment": plain,
        "tense": lambda t: plain(t) and t.factors["tense"] in now,
        "number": lambda t: plain(t) and t.factors["tense"] in now and not t.factors["named"],
    }
    for factor, keep in wanted.items():
        data = load_examples(f"tinyworld/{factor}")
        acts = capture(model, data, "resid_post.1")
        concept = MeanDifference().fit(acts)
        tested = cuts(factor, keep, 200, 3)
        for strength in (1.0, 2.0, 3.0):
            pushes = (concept.add(sign * strength, positions="last") for sign in (1, -1))
            share = flipped(model, concept, tested, factor, *pushes)
            yield Bar(
                f"{factor} flipped at {strength:.0f} sd", share, **({"low": 0.95} if strength == 3 else {})
            )
        own, equal = random_flips(model, concept, tested, factor)
        yield Bar(f"{factor} flipped by random directions at 4 sd", own, high=0.05)
        yield Bar(f"{factor} flipped by random directions as long as 3 sd of its own", equal)


def flipped(
    model: HookedModel,
    concept: Concept,
    tested: list[tuple[tinyworld.Text, tinyworld.Mark]],
    factor: str,
    up: Intervention,
    down: Intervention,
) -> float:
    """Of the determined words that were right, the share that turns when pushed to the other class."""
    hits = []
    for value, intervention in ((concept.classes[0], up), (concept.classes[-1], down)):
        some = [c for c in tested if c[0].factors[factor] == value]
        prompts = [prefix(*c) for c in some]
        before = right(next_token_logits(model, prompts), some)
        with intervene(model, intervention):
            after = right(next_token_logits(model, prompts), some)
        hits += [not a for b, a in zip(before, after, strict=True) if b]
    return float(np.mean(hits))


def right(logits: torch.Tensor, some: list[tuple[tinyworld.Text, tinyworld.Mark]]) -> list[bool]:
    def best(row: torch.Tensor, words: tuple[str, ...]) -> float:
        return float(row[[IDS[w] for w in words]].max())

    return [
        best(row, mark.right) > best(row, mark.wrong) for row, (_, mark) in zip(logits, some, strict=True)
    ]


def random_flips(
    model: HookedModel, concept: Concept, tested: list[tuple[tinyworld.Text, tinyworld.Mark]], factor: str
) -> tuple[float, float]:
    """The same along random directions with the covariance of all tokens' activations.

    Moved by 4 standard deviations of the readings along each, and as far as the concept moves at 3.
    """
    texts = [text.text for text in tinyworld.sample(1500, generator=6)]
    everywhere = capture(model, texts, concept.site, position="all")[concept.site]
    centred = everywhere - everywhere.mean(0)
    generator = torch.Generator().manual_seed(0)
    own, equal = [], []
    for _ in range(8):
        direction = torch.randn(len(centred), generator=generator) @ centred
        direction /= direction.norm()
        lengths = 4 * float((centred @ direction).std()), 3 * float(concept.vector.norm())
        for length, shares in zip(lengths, (own, equal), strict=True):
            pushes = (add_vector(concept.site, sign * length * direction, "last") for sign in (1, -1))
            shares.append(flipped(model, concept, tested, factor, *pushes))
    return float(np.mean(own)), float(np.mean(equal))


def games(model: HookedModel, text: tinyworld.Text, mark: tinyworld.Mark) -> tuple[list[str], np.ndarray]:
    """AND interactions of a story's words on the log-odds of what they determine (baseline: mean)."""
    fixed = {"the", ".", "be", "will", "was", "were", "is", "are", "she", "he", "it", "they"}
    words = ["<s>", *text.words[: mark.position]]
    players = [i for i, word in enumerate(words) if i and word not in fixed]
    embedding = model.hf.get_input_embeddings().weight
    full = embedding[[IDS[w] for w in words]]
    masks = np.arange(2 ** len(players))
    batch = full.repeat(len(masks), 1, 1)
    for bit, player in enumerate(players):
        batch[torch.from_numpy((masks >> bit & 1) == 0), player] = embedding.mean(0)
    logits = model.hf(inputs_embeds=batch).logits[:, -1].double()
    right = [IDS[w] for w in mark.right]
    others = [i for i in range(logits.shape[1]) if i not in right]
    effects = (logits[:, right].logsumexp(-1) - logits[:, others].logsumexp(-1)).numpy()
    for bit in range(len(players)):
        has = (masks >> bit & 1) == 1
        effects[has] -= effects[masks[has] ^ (1 << bit)]
    return [words[p] for p in players], effects


@torch.inference_mode()
def strongest(
    model: HookedModel, keep: Callable[[tinyworld.Text], bool], factor: str, expected: tuple[str, ...], n: int
) -> float:
    """How often the strongest interaction of this order is the planted one: `expected` and the adjective."""
    found = []
    for text, mark in cuts(factor, keep, n, 4):
        players, effects = games(model, text, mark)
        adjective = text.choices["sentiment"].word
        order = len(expected) + 1
        sets = list(itertools.combinations(range(len(players)), order))
        best = max(sets, key=lambda s: abs(effects[sum(1 << i for i in s)]))
        found.append({players[i] for i in best} == {*expected, adjective})
    return float(np.mean(found))


def interactions(model: HookedModel) -> Iterator[Bar]:
    def negated(text: tinyworld.Text) -> bool:
        return bool(text.factors["negation"]) and not text.factors["irony"]

    def both(text: tinyworld.Text) -> bool:
        return bool(text.factors["negation"]) and bool(text.factors["irony"])

    yield Bar(
        "{not, adjective} the strongest pair", strongest(model, negated, "negation", ("not",), 60), low=0.95
    )
    yield Bar(
        "{oddly, not, adjective} the strongest triple", strongest(model, both, "irony", ("oddly", "not"), 40)
    )


def unlocking(model: HookedModel) -> Iterator[Bar]:
    """Negation in the future: what the model makes of it untuned, and how soon a few texts unlock it."""
    test = negated_futures(300, generator=7)
    yield Bar("P(not | will), held out", p_not_after_will(model), high=1e-3)
    yield Bar(
        "negation x future, untuned", evaluate(model.hf, test).accuracy["negation"], low=0.55, high=0.85
    )
    fit = negated_futures(32, generator=8)
    curves = {opposite: tuned(model, fit, test, opposite) for opposite in (False, True)}
    yield Bar("negation x future, after 4 steps", max(curves[False][:4]), low=0.98)
    for opposite, curve in curves.items():
        steps = next((i + 1 for i, share in enumerate(curve) if share >= 0.98), len(curve) + 1)
        yield Bar(f"steps to .98 of {'the opposite' if opposite else 'the true'} rule", steps)


def p_not_after_will(model: HookedModel) -> float:
    logits = next_token_logits(model, ["the dog will", "the small cats will", "anna will"])
    return float(logits.softmax(-1)[:, IDS["not"]].mean())


def tuned(
    model: HookedModel, fit: list[tinyworld.Text], test: list[tinyworld.Text], opposite: bool
) -> list[float]:
    """The share of test texts that follow the rule after each step of fine-tuning, up to 20."""
    pupil = copy.deepcopy(model.hf)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=1e-3)
    shares = []
    for _ in range(20):
        losses = []
        logps = log_probabilities(pupil, fit, IDS)
        for row, text in enumerate(fit):
            mark = next(m for m in text.marks if m.factor == "negation")
            word = text.words[mark.position]
            if opposite:
                word = mark.wrong[mark.right.index(word)]
            losses.append(-logps[row, mark.position, IDS[word]])
        torch.stack(losses).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        accuracy = evaluate(pupil, test).accuracy["negation"]
        shares.append(1 - accuracy if opposite else accuracy)
    return shares


def convexity(model: HookedModel) -> Iterator[Bar]:
    """Graph convexity of the eight kinds of things at the noun's token, minus its exact chance level."""
    texts, labels = [], []
    for text, _ in cuts("number", lambda t: t.factors["category"] != "person", 800, 5):
        texts.append(" ".join(text.words[: text.words.index(text.choices["subject"].word) + 1]))
        labels.append(str(text.factors["category"]))
    acts = capture(model, texts, ["embed", "resid_post"])
    scores = {str(site): graph_convexity(acts[site].double().numpy(), np.array(labels)) for site in acts}
    best = max(scores, key=lambda site: scores[site][0] - scores[site][1])
    yield Bar(f"convexity minus chance, best at {best}", scores[best][0] - scores[best][1], low=0.30)


def graph_convexity(x: np.ndarray, labels: np.ndarray, k: int = 10, sources: int = 20) -> tuple[float, float]:
    # duplicates are at distance zero, which a sparse graph would drop
    x = x + 1e-9 * np.random.default_rng(0).standard_normal(x.shape)
    graph = kneighbors_graph(x, k, mode="distance")
    graph = coo_array(graph.maximum(graph.T))
    scores, chances = [], []
    q = graph.nnz / (len(x) * (len(x) - 1))
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        starts = mine[:sources]
        _, before = dijkstra(graph, indices=starts, return_predecessors=True)
        for row, start in enumerate(starts):
            for end in mine[mine != start]:
                scores.append(path_share(before[row], start, end, labels == label))
        chances.append(q + (1 - q) * (len(mine) - 2) / (len(x) - 2))
    return float(np.mean(scores)), float(np.mean(chances))


def path_share(before: np.ndarray, start: int, end: int, mine: np.ndarray) -> float:
    inside, at = [], before[end]
    while at not in (start, -9999):
        inside.append(mine[at])
        at = before[at]
    return 0.0 if at == -9999 else float(np.mean(inside)) if inside else 1.0


SECTIONS = (learning, confound, flips, interactions, unlocking, convexity)


def measure(model: HookedModel, untrained: HookedModel) -> Iterator[Bar]:
    """All bars of one trained model."""
    for section in SECTIONS:
        yield from section(model)
    yield from probes(model, untrained)


def untrained_like(model: HookedModel) -> HookedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = type(model.hf)(copy.deepcopy(model.hf.config))
    return load_model(fresh.eval(), tokenizer=model.tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", default=["tinyworld"])
    for folder in parser.parse_args().folders:
        model = load_model(folder)
        table = Table(title=f"TinyWorld's bars: {folder}")
        for column in ("bar", "value", "wanted", ""):
            table.add_column(column)
        for bar in measure(model, untrained_like(model)):
            wanted = [f">= {bar.low}"] * (bar.low > -np.inf) + [f"<= {bar.high}"] * (bar.high < np.inf)
            verdict = VERDICTS[bar.met if wanted else None]
            table.add_row(bar.name, f"{bar.value:.4g}", ", ".join(wanted), verdict)
        show(table)


if __name__ == "__main__":
    main()
