"""What was measured at each strength, kept on disk until all is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from conceptscope.analyses._doses import Planned
from conceptscope.analyses._trials import Outcome, Run, Trials
from conceptscope.hooks._fingerprint import fingerprint
from conceptscope.hooks._whole_file import whole_file

_SETTINGS = "settings.json"
_LONG = ("prompts", "interventions", "texts of the untouched model", "generator")
"""Settings whose values say nothing to a reader."""

_MEASURED = ("interventions", "measure of the untouched model")
"""Settings that may differ by rounding."""


@dataclass(frozen=True, eq=False)
class Written(Outcome):
    """An outcome, and what there is to say of the texts that were written."""

    surprise: Float[np.ndarray, "copy prompt"]
    repetition: Float[np.ndarray, "copy prompt"]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class DoseStore:
    """A folder with a file for each run, which are numbered in the order in which they are looked at."""

    folder: Path
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        folder: str | Path,
        settings: dict[str, Any],
        trials: Trials,
        untouched: Written,
        planned: Sequence[Planned],
    ) -> DoseStore:
        """The store of such runs; it is known again by the settings and by what model and doses do.

        Raises:
            ValueError: a folder that holds something else.
        """
        known = settings | {
            "prompts": fingerprint(trials.examples),
            "strengths": [plan.strength for plan in planned],
            "interventions": [_told(plan) for plan in planned],
            "texts of the untouched model": digest(untouched.texts),
            "measure of the untouched model": float(untouched.effect.mean()),
        }
        store = cls(Path(folder), known)
        store._check()
        return store

    def through(self, look: Callable[[Run], Written]) -> Callable[[Run], Written]:
        """The same look, which takes from the folder what is there and adds to it what is not."""
        numbers = iter(range(2 * len(self.settings["strengths"])))
        return lambda run: self._looked(self.folder / f"{next(numbers):03}.json", look, run)

    def _looked(self, path: Path, look: Callable[[Run], Written], run: Run) -> Written:
        if path.is_file():
            return _read(path)
        found = look(run)
        parts = ((field.name, getattr(found, field.name)) for field in fields(found))
        try:
            if not (self.folder / _SETTINGS).exists():
                _write(self.folder / _SETTINGS, self.settings)
            _write(path, {name: part if name == "texts" else part.tolist() for name, part in parts})
        except OSError as error:
            raise OSError(
                f"{self.folder} cannot be written to ({error.strerror}): what is there is complete, "
                "and the same call goes on from there"
            ) from error
        return found

    def _check(self) -> None:
        path = self.folder / _SETTINGS
        if not path.is_file():
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                raise ValueError(f"{self.folder} holds something else than doses: give a new folder")
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        different = list(_different(before, self.settings))
        if different:
            raise ValueError(
                f"{self.folder} holds doses that were begun otherwise ({'; '.join(different)}): "
                "give the same settings or another folder, or delete this one"
            )


def digest(value: Any) -> str:
    """A short name for a long value."""
    return hashlib.blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def _told(plan: Planned) -> list[float]:
    """The mean length of what a dose changes, and where its greatest change points."""
    greatest = (change.greatest for change in plan.changes if change.greatest is not None)
    return [plan.norm, *(float((one / one.norm().clamp(min=1e-12)).sum()) for one in greatest)]


def _different(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in now:
        if not _same(name, before.get(name), now[name]):
            yield f"other {name}" if name in _LONG else f"{name} {before.get(name)}, now {now[name]}"


def _same(name: str, one: Any, other: Any) -> bool:
    if name not in _MEASURED or one is None:
        return bool(one == other)
    then, now = np.ravel(one), np.ravel(other)
    return then.shape == now.shape and np.allclose(then, now, rtol=1e-3, atol=1e-3)


def _read(path: Path) -> Written:
    parts = json.loads(path.read_text(encoding="utf-8"))
    texts = tuple(parts.pop("texts"))
    return Written(**{name: np.array(part) for name, part in parts.items()}, texts=texts)


def _write(path: Path, value: dict[str, Any]) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value), encoding="utf-8")
