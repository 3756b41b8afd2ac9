"""The trainer: what a row sees, the schedule, and that training lowers the loss."""

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from conceptscope.worlds import tinyworld
from conceptscope.worlds.tinyworld import train
from conceptscope.worlds.tinyworld._corpus import Corpus
from conceptscope.worlds.tinyworld._evaluate import evaluate
from conceptscope.worlds.tinyworld._tokenizer import vocabulary

SMALL = replace(train.SIBLING, d_model=32, d_mlp=32, n_layers=1, tokens=60_000, warmup=5, statements_first=0)


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.from_numpy(Corpus(64, random.Random(0)).rows(16))


def test_a_row_starts_at_a_texts_start_and_holds_whole_texts(rows: torch.Tensor) -> None:
    words = vocabulary()
    assert rows.shape == (16, 64)
    assert (rows[:, 0] == 0).all()
    for row in rows.tolist():
        texts = " ".join(words[i] for i in row).split("<s>")[1:-1]
        for text in texts:
            assert tinyworld.read(text).words[:-1] == tuple(text.split())


def test_statements_alone_have_a_verdict() -> None:
    words = vocabulary()
    rows = Corpus(64, random.Random(0)).rows(8, statements=True).tolist()
    texts = [t for row in rows for t in " ".join(words[i] for i in row).split("<s>")[1:-1]]
    assert len(texts) > 20
    assert all("true" in text or "false" in text for text in texts)


def test_texts_that_share_a_row_do_not_see_each_other(rows: torch.Tensor) -> None:
    model = train.build_model(SMALL).eval()
    packed = model(input_ids=rows[:4], attention_mask=train.apart(rows[:4])).logits
    for row, logits in zip(rows[:4], packed, strict=True):
        starts = [*(row == 0).nonzero()[:, 0].tolist(), len(row)]
        for start, end in pairwise(starts):
            alone = model(input_ids=row[None, start:end]).logits[0]
            torch.testing.assert_close(logits[start:end], alone, atol=1e-5, rtol=0)


def test_the_schedule_warms_up_and_ends_at_zero() -> None:
    recipe = replace(SMALL, warmup=10)
    factors = [train.schedule(recipe, step, 1000) for step in range(1001)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == 1.0
    assert factors[300] == pytest.approx(1.0)
    assert factors[1000] == pytest.approx(0.0, abs=1e-9)
    assert all(a >= b for a, b in pairwise(factors[300:]))


def test_checkpoints_are_log_spaced() -> None:
    steps = train.checkpoint_steps(train.SIBLING)
    assert len(steps) >= 24
    assert steps[0] == 0
    assert steps[-1] == train.SIBLING.tokens // (train.SIBLING.rows * train.SIBLING.width)
    ratios = [b / a for a, b in pairwise(steps[1:])]
    assert max(ratios) / min(ratios) < 1.2


def test_training_lowers_the_loss_and_leaves_checkpoints(tmp_path: Path) -> None:
    model = train.train_sibling(tmp_path, 0, False, SMALL)
    index = json.loads((tmp_path / "index.json").read_text())
    assert [entry["step"] for entry in index] == train.checkpoint_steps(SMALL)
    assert all((tmp_path / entry["folder"] / "model.safetensors").exists() for entry in index)
    texts = list(tinyworld.sample(100, generator=1))
    untrained = evaluate(train.build_model(SMALL).eval(), texts)
    trained = evaluate(model, texts)
    assert untrained.floor == trained.floor
    assert 0 < trained.excess < untrained.excess - 1


def test_training_is_reproducible() -> None:
    recipe = replace(SMALL, tokens=10_000)
    first, second = (train.train(recipe, generator=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train.train(recipe, generator=4).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_evaluating_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no texts to evaluate on"):
        evaluate(train.build_model(SMALL), [])
