from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import conceptscope as cs

WORDS = {
    "one": ["dog", "cat", "car", "house", "film", "river"],
    "two": ["Yes", "No", "She", "He", "They", "I"],
}
DATA = {"kind": cs.Examples([*WORDS["one"], *WORDS["two"]], [label for label in WORDS for _ in range(6)])}
TOKENS = {"kind": {"one": 5, "two": 6}}


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 16

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(row, row + 8) + 10
        return {"input_ids": ids, "labels": ids}


def trainer(built: Any, folder: Path, callbacks: list[Any], **given: Any) -> transformers.Trainer:
    model, tokenizer = built
    settings = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=6,
        per_device_train_batch_size=4,
        report_to=[],
        save_strategy="steps",
        save_steps=2,
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
        learning_rate=1e-2,
    )
    return transformers.Trainer(
        model, settings, train_dataset=Rows(), processing_class=tokenizer, callbacks=callbacks, **given
    )


@pytest.mark.parametrize("settings", [{"folds": 3}, {"of": "outputs", "tokens": TOKENS}])
def test_a_live_run_gives_what_its_checkpoints_do(
    build: Callable[..., Any], tmp_path: Path, settings: dict[str, Any]
) -> None:
    callback = cs.ConceptCallback(DATA, every=2, **settings)
    trainer(build("llama"), tmp_path, [callback]).train()
    live = callback.trajectory()
    assert live.steps == (0, 2, 4, 6)
    assert live.fixed is None
    later = cs.trajectory(tmp_path, DATA, **settings)
    assert later.steps == (2, 4, 6)
    np.testing.assert_allclose(live.values[1:], later.values, atol=1e-5)
    np.testing.assert_allclose(live.accuracy[1:], later.accuracy, atol=1e-5)
    start = cs.load_model(build("llama")[0], tokenizer=build("llama")[1])
    np.testing.assert_allclose(
        live.values[0], cs.trajectory({0: start}, DATA, **settings).values[0], atol=1e-5
    )


def test_the_training_is_the_same_with_it(build: Callable[..., Any], tmp_path: Path) -> None:
    found = []
    for number, callbacks in enumerate(([], [cs.ConceptCallback(DATA, every=1, folds=3)])):
        built = build("llama", attention_dropout=0.3)
        trainer(built, tmp_path / str(number), callbacks).train()
        found.append(built[0].state_dict())
    for name, weight in found[0].items():
        assert torch.equal(weight, found[1][name])


def test_a_loop_of_ones_own(build: Callable[..., Any], tmp_path: Path) -> None:
    model, tokenizer = build("gpt2")
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    path = tmp_path / "run.jsonl"
    watch = cs.ConceptWatch(model, DATA, tokenizer=tokenizer, steps=[1, 2, 4], folds=3, store=path)
    states = {}
    for step in range(6):
        watch(step)
        states[step] = cs.capture(cs.load_model(model, tokenizer=tokenizer), DATA["kind"], "resid_post.1")
        assert model.training
        ids = torch.arange(12)[None] + step
        model(ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    found = watch.trajectory(smooth=1.0)
    assert (found.steps, found.smooth) == ((1, 2, 4), 1.0)
    for number, step in enumerate(found.steps):
        score = cs.sweep(states[step], cs.MeanDifference(), folds=3, controls=False).scores[0]
        assert abs(found.accuracy[number, 0] - score.accuracy) <= 4 / 12
    again = cs.ConceptWatch(model, DATA, tokenizer=tokenizer, steps=[2, 5], folds=3, store=path)
    again(2)
    again(5)
    np.testing.assert_array_equal(again.trajectory().values[:3], found.values)
    assert again.trajectory().steps == (1, 2, 4, 5)


def test_refusals(build: Callable[..., Any], tiny: Callable[..., cs.HookedModel]) -> None:
    with pytest.raises(ValueError, match="no last checkpoint, by which the tokens of each value"):
        cs.ConceptWatch(tiny("llama"), DATA, of="outputs")
    with pytest.raises(ValueError, match="a loaded model needs its tokenizer"):
        cs.ConceptWatch(build("llama")[0], DATA)
    with pytest.raises(ValueError, match="every"):
        cs.ConceptWatch(tiny("llama"), DATA, every=0)
    with pytest.raises(ValueError, match="no step was looked at yet"):
        cs.ConceptWatch(tiny("llama"), DATA, folds=3).trajectory()
    with pytest.raises(ValueError, match="the training has not begun"):
        cs.ConceptCallback(DATA).trajectory()
