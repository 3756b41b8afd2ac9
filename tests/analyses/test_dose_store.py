import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses import _trials

Run = Callable[..., cs.DoseResponse]


@pytest.fixture
def run(world: cs.HookedModel, concept: cs.Concept, prompts: list[str], tmp_path: Path) -> Run:
    """``run(name=value, ...)``: a short dose response, by default kept in a folder."""

    def doses(family: Any = concept.add, strengths: Any = (0, 1, 2), **settings: Any) -> cs.DoseResponse:
        given = {"measure": "smile", "max_new_tokens": 4, "directions": 3, "store": tmp_path / "doses"}
        return cs.dose_response(world, prompts, family, strengths, **(given | settings))

    return doses


class StopError(Exception):
    """The user's patience ends."""


def stopped_after(runs: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let so many runs be measured and then stop; notes how many prompts each had."""
    seen: list[int] = []
    measured = _trials.Run.measured

    def measure(self: _trials.Run, wanted: Any) -> Any:
        if len(seen) == runs:
            raise StopError
        seen.append(len(self.prompts))
        return measured(self, wanted)

    monkeypatch.setattr(_trials.Run, "measured", measure)
    return seen


def test_an_interrupted_one_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    expected = run(store=None)
    with pytest.MonkeyPatch.context() as patch:
        stopped_after(4, patch)  # the untouched model, strength 0 twice, strength 1 once
        with pytest.raises(StopError):
            run()
    files = sorted((tmp_path / "doses").glob("0*.json"))
    before = {path: path.stat().st_mtime_ns for path in files}
    assert [path.name for path in files] == ["000.json", "001.json", "002.json"]
    with pytest.MonkeyPatch.context() as patch:
        seen = stopped_after(100, patch)
        again = run()
    assert seen == [8, 24, 8, 24]  # the untouched model and what was missing
    assert again.to_frame().equals(expected.to_frame())
    assert [dose.texts for dose in again.doses] == [dose.texts for dose in expected.doses]
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert torch.equal(again.generator_state, expected.generator_state)


def test_what_is_there_is_not_measured_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run()
    seen = stopped_after(100, monkeypatch)
    told: list[float] = []
    again = run(family=lambda s: told.append(s) or first.doses[int(s)].interventions, resamples=200)
    assert seen == [8]
    assert told == [0, 1, 2]
    assert [dose.effect.value for dose in again.doses] == [dose.effect.value for dose in first.doses]
    assert again.resamples == 200


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"directions": 4}, "directions 3, now 4"),
        ({"max_new_tokens": 5}, "max_new_tokens 4, now 5"),
        ({"measure": "happy"}, "measure log-odds of 'smile', now log-odds of 'happy'"),
        ({"strengths": (0, 1, 3)}, "strengths [0.0, 1.0, 2.0], now [0.0, 1.0, 3.0]"),
        ({"strengths": (0, 1, 2.0001)}, "strengths [0.0, 1.0, 2.0], now [0.0, 1.0, 2.0001]"),
        ({"generator": 1}, "(other generator)"),
        ({"temperature": 1.0}, "temperature 0.0, now 1.0"),
    ],
)
def test_other_settings_are_refused(run: Run, changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    run()
    before = sorted(path.name for path in (tmp_path / "doses").iterdir())
    with pytest.raises(ValueError, match=r"begun otherwise .*: give the same settings or another") as error:
        run(**changed)
    assert said in str(error.value)
    assert sorted(path.name for path in (tmp_path / "doses").iterdir()) == before


def test_other_interventions_prompts_and_measures_are_refused(
    run: Run, world: cs.HookedModel, concept: cs.Concept, prompts: list[str], tmp_path: Path
) -> None:
    def length(text: str) -> float:
        return len(text)

    run(measure=length)
    for family in ((-concept).add, concept.set, lambda s: cs.add_vector("resid_post.2", s * torch.ones(128))):
        with pytest.raises(ValueError, match=r"begun otherwise .*other interventions"):
            run(family, measure=length)
    with pytest.raises(ValueError, match="other prompts"):
        cs.dose_response(
            world, prompts[::-1], concept.add, [0, 1, 2], measure=length, store=tmp_path / "doses"
        )
    twice = lambda text: 2 * len(text)  # noqa: E731
    twice.__name__ = "length"
    with pytest.raises(ValueError, match=r"measure of the untouched model [0-9.]+, now [0-9.]+"):
        run(measure=twice)


def test_a_folder_of_something_else_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match="holds something else than doses: give a new folder"):
            run(store=folder)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_full_disk_is_said_plainly(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        if "001.json" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"cannot be written to \(No space left on device\): what is there is"):
        run(strengths=[1])
    assert sorted(path.name for path in (tmp_path / "doses").iterdir()) == ["000.json", "settings.json"]


def test_what_is_kept_is_json(run: Run, tmp_path: Path) -> None:
    found = run(strengths=[1])
    kept = json.loads((tmp_path / "doses" / "000.json").read_text())
    assert tuple(kept["texts"]) == found.doses[0].texts
    assert sum(kept["kl"][0]) / 8 == pytest.approx(found.doses[0].kl.value)
