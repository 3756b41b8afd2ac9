"""Trajectories of runs whose models are made by hand, and of the embedded run."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._trajectory_outputs import found_tokens
from conceptscope.analyses._trajectory_plan import Plan

LATE, EARLY = 3906, 138


@pytest.fixture(scope="module")
def run() -> cs.Checkpoints:
    """Four of the embedded run's checkpoints: 0, 85, 577, 3906."""
    return cs.checkpoints("tinyworld")[::8]


@pytest.fixture(scope="module")
def concepts() -> dict[str, cs.Examples]:
    return {name: cs.load_examples(f"tinyworld/{name}")[:100] for name in ("tense", "colour", "coin")}


@pytest.fixture(scope="module")
def inside(run: cs.Checkpoints, concepts: dict[str, cs.Examples]) -> cs.Trajectory:
    return cs.trajectory(run, concepts, site="resid_post.2")


@pytest.fixture(scope="module")
def outside(run: cs.Checkpoints, concepts: dict[str, cs.Examples]) -> cs.Trajectory:
    return cs.trajectory(run, concepts, of="outputs")


def refused(*args: Any, **kwargs: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as raised:
        cs.trajectory(*args, **kwargs)
    return str(raised.value)


def test_what_is_determined_is_learned_and_a_coin_is_not(
    inside: cs.Trajectory, outside: cs.Trajectory
) -> None:
    assert inside.fixed is not None
    for found in (inside, inside.fixed, outside):
        times = found.learning_time(consecutive=1)
        assert times["tense"].step in (0, 577)
        assert times["colour"].step == LATE
        assert times["coin"].step is None
        last = found.values[-1]
        for name, low, high in (("tense", "past", "present"), ("colour", "cool", "warm")):
            axis = found.axes.index(name)
            assert last[found.classes.index(f"{name}={low}"), axis] < 0.05
            assert last[found.classes.index(f"{name}={high}"), axis] > 0.95


def test_refitted_probes_are_those_of_a_sweep_of_the_same_folds(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], inside: cs.Trajectory
) -> None:
    """Accuracies of a cross-validation; the folds are drawn otherwise, so that they agree up to that."""
    for number, step in enumerate(run.steps):
        for name in ("tense", "colour"):
            acts = cs.capture(run.load(step), concepts[name], "resid_post.2")
            score = cs.sweep(acts, cs.MeanDifference(), controls=False).scores[0]
            here = inside.accuracy[number, inside.concepts.index(name)]
            assert here == pytest.approx(score.accuracy, abs=0.12)


def test_classes_of_others_are_read_by_probes_of_all_examples(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], inside: cs.Trajectory
) -> None:
    model, site = run.load(577), "resid_post.2"
    probe = cs.MeanDifference().fit(cs.capture(model, concepts["tense"], site))
    warm = concepts["colour"][[label == "warm" for label in concepts["colour"].labels or ()]]
    taken = probe.predict(cs.capture(model, warm, site))
    value = inside.values[2, inside.classes.index("colour=warm"), inside.axes.index("tense")]
    assert value == pytest.approx(np.mean([one == "present" for one in taken]))


def test_fixed_probes_are_those_of_the_last_checkpoint(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], inside: cs.Trajectory
) -> None:
    assert inside.fixed is not None
    np.testing.assert_array_equal(inside.fixed.values[-1], inside.values[-1])
    site = "resid_post.2"
    probe = cs.MeanDifference().fit(cs.capture(run.load(LATE), concepts["tense"], site))
    warm = concepts["colour"][[label == "warm" for label in concepts["colour"].labels or ()]]
    taken = probe.predict(cs.capture(run.load(577), warm, site), force=True)
    value = inside.fixed.values[2, inside.classes.index("colour=warm"), inside.axes.index("tense")]
    assert value == pytest.approx(np.mean([one == "present" for one in taken]))


def test_outputs_are_the_probability_of_the_values_tokens(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples]
) -> None:
    model, prompts = run.load(577), ["the dog", "the small cars"]
    tokens = {"tense": {"past": ["was", "were"], "present": ["is", "are"]}}
    found = cs.trajectory(
        run,
        {"tense": concepts["tense"]},
        of="outputs",
        tokens=tokens,
        prompts={"dogs": prompts[:1], "both": prompts},
    )
    p = cs.next_token_logits(model, prompts).softmax(-1)
    ids = [[model.tokenizer(word)["input_ids"][-1] for word in words] for words in tokens["tense"].values()]
    past, present = (p[:, one].sum(1) for one in ids)
    share = (present / (past + present)).double().numpy()
    assert found.classes == ("dogs", "both")
    np.testing.assert_allclose(found.values[2, :, 0], [share[0], share.mean()], rtol=1e-5)


def test_tokens_are_found_by_the_last_checkpoint(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], outside: cs.Trajectory
) -> None:
    model = run.load(LATE)
    tokens, unknown = found_tokens(model, Plan.of(concepts, None))
    past, present = ({model.tokenizer.decode([one]) for one in side} for side in tokens["tense"])
    assert {"was", "were"} <= past
    assert {"is", "are"} <= present
    assert list(unknown) == ["coin"]
    assert "goes on alike" in outside.learning_time()["coin"].reason
    assert outside.learning_time()["coin"].step is None
    coin = outside.axes.index("coin")
    np.testing.assert_array_equal(outside.values[:, :, coin], 0.5)
    np.testing.assert_array_equal(outside.accuracy[:, outside.concepts.index("coin")], 0.5)


def test_a_concept_of_many_values_has_an_axis_for_each(run: cs.Checkpoints) -> None:
    category = cs.load_examples(
        "tinyworld/category",
    )
    kept = [row for row, label in enumerate(category.labels or ()) if label in ("tool", "person", "vehicle")]
    found = cs.trajectory(run[2:], {"kind": category[kept]}, folds=3)
    assert found.axes == ("kind=person", "kind=tool", "kind=vehicle")
    np.testing.assert_allclose(found.values.sum(-1), 1.0)
    last = found.values[-1]
    assert last[found.classes.index("kind=person"), 0] > 0.9
    outputs = cs.trajectory(run[2:], {"kind": category[kept]}, of="outputs")
    np.testing.assert_allclose(outputs.values.sum(-1), 1.0)


def test_the_frame(inside: cs.Trajectory) -> None:
    frame = inside.to_frame()
    assert frame.columns.tolist() == ["checkpoint", "class", "concept", "value", "low", "high"]
    assert len(frame) == 4 * 6 * 3
    assert frame.checkpoint.unique().tolist() == [0, 85, 577, LATE]
    assert ((frame.low <= frame.value) & (frame.value <= frame.high)).all()
    assert (frame.high - frame.low > 0).all()
    row = frame[(frame.checkpoint == 577) & (frame["class"] == "tense=past") & (frame.concept == "colour")]
    assert row.value.item() == inside.values[2, 0 if inside.classes[0] == "tense=past" else 1, 1]


def test_it_holds_one_checkpoint_at_a_time(concepts: dict[str, cs.Examples]) -> None:
    alive: list[weakref.ref[Any]] = []
    most = []

    def loader(step: int) -> Callable[[], cs.HookedModel]:
        def load() -> cs.HookedModel:
            most.append(sum(one() is not None for one in alive))
            model = cs.checkpoints("tinyworld").load(step)
            alive.append(weakref.ref(model.hf))
            return model

        return load

    run = cs.checkpoints({step: loader(step) for step in (0, 577, LATE)})
    cs.trajectory(run, {"tense": concepts["tense"]})
    assert len(most) == 4
    assert max(most) == 0


def test_a_stopped_run_goes_on(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], inside: cs.Trajectory, tmp_path: Path
) -> None:
    path, loaded = tmp_path / "new" / "run.jsonl", []

    def failing(at: int | None) -> cs.Checkpoints:
        def loader(step: int) -> Callable[[], cs.HookedModel]:
            def load() -> cs.HookedModel:
                loaded.append(step)
                if step == at:
                    raise KeyboardInterrupt
                return run.load(step)

            return load

        return cs.checkpoints({step: loader(step) for step in run.steps})

    with pytest.raises(KeyboardInterrupt):
        cs.trajectory(failing(577), concepts, site="resid_post.2", store=path)
    assert loaded == [LATE, 0, 85, 577]
    with path.open("ab") as file:
        file.write(b'{"step": 577, "rea')  # cut off
    loaded.clear()
    found = cs.trajectory(failing(None), concepts, site="resid_post.2", store=path)
    assert loaded == [LATE, 577, LATE]
    again = cs.trajectory(failing(0), concepts, site="resid_post.2", store=path, smooth=1)
    assert loaded == [LATE, 577, LATE]
    for one in (found, again):
        np.testing.assert_array_equal(one.values, inside.values)
        np.testing.assert_array_equal(one.accuracy_low, inside.accuracy_low)
        assert one.fixed is not None
        assert inside.fixed is not None
        np.testing.assert_array_equal(one.fixed.values, inside.fixed.values)
    assert len(path.read_text().splitlines()) == 5
    others = {"tense": concepts["tense"], "colour": concepts["colour"]}
    said = refused(failing(None), others, folds=4, site="resid_post.2", store=path)
    assert "begun otherwise (other concepts; folds 5, now 4)" in said


def test_a_store_of_something_else(
    run: cs.Checkpoints, concepts: dict[str, cs.Examples], tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    for said in ("a note", "a note\n", "[1]\n", json.dumps({"settings": 3}) + "\n"):
        path.write_text(said)
        assert "holds something else than a trajectory" in refused(run, concepts, store=path)
        assert path.read_text() == said
    assert "is no file" in refused(run, concepts, store=tmp_path)


def test_smoothing_is_of_the_paths(inside: cs.Trajectory, run: cs.Checkpoints) -> None:
    from dataclasses import replace

    smooth = replace(inside, smooth=1.0)
    weights = np.exp(-0.5 * np.array([0, 1, 4, 9.0]))
    first = np.tensordot(weights / weights.sum(), inside.values, 1)
    np.testing.assert_allclose(smooth.coordinates[0], first)
    np.testing.assert_array_equal(inside.coordinates, inside.values)
    assert smooth.to_frame().equals(inside.to_frame())


def test_pictures(inside: cs.Trajectory, run: cs.Checkpoints) -> None:
    ax = inside.plot()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("tense", "colour")
    assert sorted(labels) == ["colour=cool", "colour=warm", "tense=past", "tense=present"]
    ax = inside.plot(axes=("tense", "coin"), classes=["coin=heads"])
    (dots,) = (one for one in ax.collections if len(one.get_offsets()) == 4)
    row = inside.classes.index("coin=heads")
    np.testing.assert_allclose(dots.get_offsets(), inside.values[:, row][:, [0, 2]])
    ax = inside.plot_learning()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), inside.accuracy[:, 0])
    for options, said in (
        ({"axes": ("tense", "size")}, "no axis 'size'"),
        ({"classes": ["x"]}, "no class 'x'"),
    ):
        with pytest.raises(KeyError, match=said):
            inside.plot(**options)


def test_what_a_user_sees(inside: cs.Trajectory, outside: cs.Trajectory) -> None:
    assert repr(inside) == (
        "Trajectory(refitted probes; 4 checkpoints, steps 0 to 3906; 6 classes; tense, colour, coin)"
    )
    assert repr(outside).startswith("Trajectory(outputs; ")
    assert "goes on alike" in outside._repr_html_()
    frame = inside.accuracies()
    assert frame.columns.tolist() == ["checkpoint", "concept", "accuracy", "low", "high"]
    assert len(frame) == 12


def test_refusals(run: cs.Checkpoints, concepts: dict[str, cs.Examples]) -> None:
    tense = {"tense": concepts["tense"]}
    bare = cs.Examples(["a", "b"])
    assert "concepts are a mapping" in refused(run, concepts["tense"])
    assert "there are no concepts" in refused(run, {})
    assert "'x' have no labels" in refused(run, {"x": bare})
    assert "all examples of 'x' are labelled 'a'" in refused(run, {"x": cs.Examples(["a", "b"], ["a", "a"])})
    assert "the examples of 'x': class 'a' has 1 example" in refused(
        run, {"x": cs.Examples(["dog", "cat"], ["a", "b"])}
    )
    assert "prompts= is a mapping" in refused(run, tense, prompts=["the dog"])
    assert "expected a list of texts, got one string" in refused(run, tense, prompts={"a": "the dog"})
    assert "prompts= holds no class" in refused(run, tense, prompts={})
    assert "of= is 'activations' or 'outputs', got 'words'" in refused(run, tense, of="words")
    assert "tokens= are of values in the outputs" in refused(run, tense, tokens={})
    assert "expected an extractor" in refused(run, tense, extractor=cs.MeanDifference)
    assert "predicts numbers" in refused(run, tense, extractor=cs.Ridge())
    assert "is 4 sites, and a trajectory is read at one" in refused(run, tense, site="resid_post")
    assert "gives several tokens of a text" in refused(run, tense, position="all")
    assert "needs 5 of them, and there are 4" in refused(run, tense, smooth=2.0)
    assert "smooth= is a number of checkpoints" in refused(run, tense, smooth=-1)
    outputs = {"of": "outputs"}
    assert "must give the tokens of each value" in refused(
        run, tense, tokens={"tense": {"past": "was"}}, **outputs
    )
    assert "is a mapping from concepts" in refused(run, tense, tokens=["was"], **outputs)
    none = {"tense": {"past": [], "present": "is"}}
    assert "has a value without tokens" in refused(run, tense, tokens=none, **outputs)
    odd = {"tense": {"past": "zebra", "present": "is"}}
    assert "'zebra' is not in the vocabulary" in refused(run, tense, tokens=odd, **outputs)


def test_nothing_is_left_on_a_model(concepts: dict[str, cs.Examples], run: cs.Checkpoints) -> None:
    model = run.load(577)
    before = torch.get_rng_state()
    cs.trajectory({0: model}, {"tense": concepts["tense"]})
    assert torch.equal(before, torch.get_rng_state())
    assert not any(module._forward_hooks for module in model.hf.modules())
