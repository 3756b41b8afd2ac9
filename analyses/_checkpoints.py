"""The checkpoints of a training run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from conceptscope.analyses._checkpoints_of_folder import folders_by_step
from conceptscope.analyses._checkpoints_of_hub import revisions_by_step
from conceptscope.hooks import HookedModel, load_model

Source = str | Path | Mapping[int, Any]
_EMBEDDED = "tinyworld"
_SHAPE = ("model_type", "hidden_size", "n_embd", "num_hidden_layers", "n_layer", "vocab_size")


class Checkpoints:
    """Models of one run in the order of their steps, each loaded when its turn comes; see `checkpoints`.

    Iterating gives (step, model). The loop's own variable keeps a model until the next one is there: end the
    loop's body with ``del model`` where two do not fit into memory; `trajectory` holds one.

    >>> import conceptscope as cs
    >>> run = cs.checkpoints("tinyworld")
    >>> run
    Checkpoints('tinyworld', 25 steps, 0 to 3906)
    >>> run[::8].steps
    (0, 85, 577, 3906)
    """

    def __init__(self, name: str, loaders: Mapping[int, Callable[[], HookedModel]]) -> None:
        self.name = name
        self._loaders = dict(sorted(loaders.items()))
        self._first: tuple[int, dict[str, Any]] | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """The training step of each checkpoint."""
        return tuple(self._loaders)

    def load(self, step: int) -> HookedModel:
        """The model at a step.

        Raises:
            KeyError: no checkpoint of that step.
            OSError: a checkpoint that cannot be loaded.
            ValueError: a model of another architecture than those loaded before.
        """
        if step not in self._loaders:
            raise KeyError(f"{self.name} has no checkpoint of step {step}: there are {_listed(self.steps)}")
        gc.collect()  # a model that was let go of may be held by the tracebacks of a capture
        model = self._loaders[step]()
        shape = {"class": type(model.hf).__name__} | _shape(model.hf.config.to_dict())
        before, known = self._first or (step, shape)
        if shape != known:
            raise ValueError(_other_architecture(self.name, before, known, step, shape))
        self._first = before, known
        return model

    def __len__(self) -> int:
        return len(self._loaders)

    def __iter__(self) -> Iterator[tuple[int, HookedModel]]:
        for step in self.steps:
            yield step, self.load(step)

    def __getitem__(self, chosen: slice) -> Checkpoints:
        """Some of the checkpoints, by a slice of their order.

        Raises:
            TypeError: something that is no slice.
            ValueError: none is left.
        """
        if not isinstance(chosen, slice):
            raise TypeError(f"a slice selects checkpoints, and .load({chosen!r}) loads one by its step")
        kept = self.steps[chosen]
        if not kept:
            raise ValueError(f"no checkpoint of {self.name} is left: there are {len(self)}")
        part = Checkpoints(self.name, {step: self._loaders[step] for step in kept})
        part._first = self._first
        return part

    def __repr__(self) -> str:
        return f"Checkpoints({self.name!r}, {len(self)} steps, {self.steps[0]} to {self.steps[-1]})"


def checkpoints(
    source: Source | Checkpoints = _EMBEDDED, *, revisions: Sequence[str] | None = None, **load: Any
) -> Checkpoints:
    """The checkpoints of a training run, in the order of their steps, loaded one at a time.

    source: "tinyworld" (embedded: 25 checkpoints of a smaller sibling of the model, up to 8 million tokens at
        2048 a step); a folder of folders, as transformers' Trainer leaves them; a model on the Hugging Face
        hub whose revisions are steps ("EleutherAI/pythia-70m"); or a mapping from steps to folders, models
        in memory, or functions that load one.
    revisions: some of the hub's revisions; by default all whose name holds a step ("step1000").
    load: for `load_model`, such as device=, dtype=, tokenizer= or cache_dir=.

    A name's step is the number after "step" or "checkpoint", or else its last number. The first 700 thousand
    tokens of TinyWorld's run (up to step 342) are statements alone: sums, kinds, capitals and comparisons.
    What its stories are about (sentiment, tense, size and so on) cannot be learned before, and when it is
    learned says something of that schedule, too.

    Without a network, only the revisions in the local cache are there, and a warning says so.

    Raises:
        OSError: a model that the hub does not have, or a hub that is out of reach with nothing in the cache.
        TypeError: source is none of these.
        ValueError: a folder without checkpoints, revisions that do not exist or hold no step, two checkpoints
            of one step, or checkpoints of different architectures.

    >>> import conceptscope as cs
    >>> step, model = next(iter(cs.checkpoints("tinyworld")))
    >>> step, model.name, model.n_layers
    (0, 'tinyworld@step00000', 4)
    """
    if isinstance(source, Checkpoints):
        return source
    if isinstance(source, Mapping):
        _refuse_revisions(revisions)
        return _of_mapping(source, load)
    if not isinstance(source, str | Path):
        raise TypeError(
            f"cannot take checkpoints from {type(source).__name__}: expected 'tinyworld', a folder of "
            "folders, a name on the Hugging Face hub, or a mapping from steps to models"
        )
    name = str(source)
    path = Path(source).expanduser()
    if name == _EMBEDDED or path.is_dir() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        _refuse_revisions(revisions)
        return _of_folder(name, load)
    found = revisions_by_step(name, revisions, load)
    return Checkpoints(
        name,
        {
            step: _loader(f"{name}@{revision}", name, {**load, "revision": revision})
            for step, revision in found.items()
        },
    )


def _of_folder(name: str, load: dict[str, Any]) -> Checkpoints:
    if name == _EMBEDDED:
        from conceptscope.worlds import tinyworld

        folder = tinyworld.checkpoints_path()
    else:
        folder = Path(name).expanduser()
    found = folders_by_step(folder)
    shapes = {step: _shape(config) for step, (_, config) in found.items()}
    first = next(iter(shapes))
    for step, shape in shapes.items():
        if shape != shapes[first]:
            raise ValueError(_other_architecture(name, first, shapes[first], step, shape))
    return Checkpoints(
        name, {step: _loader(f"{name}@{path.name}", path, load) for step, (path, _) in found.items()}
    )


def _of_mapping(given: Mapping[int, Any], load: dict[str, Any]) -> Checkpoints:
    if not given:
        raise ValueError("the mapping holds no checkpoints: give at least one step with its model")
    loaders = {}
    for step, one in given.items():
        if isinstance(step, bool) or not isinstance(step, int):
            raise TypeError(f"the keys of a mapping of checkpoints are training steps, got {step!r}")
        if isinstance(one, str | Path):
            loaders[step] = _loader(f"{one}", one, load)
        elif isinstance(one, HookedModel):
            loaders[step] = _giver(one)
        elif callable(one):
            loaders[step] = one
        else:
            raise TypeError(
                f"the checkpoint of step {step} is a {type(one).__name__}: expected a folder, a HookedModel, "
                "or a function that loads one"
            )
    return Checkpoints("a mapping", loaders)


def _giver(model: HookedModel) -> Callable[[], HookedModel]:
    return lambda: model


def _loader(name: str, source: str | Path, load: dict[str, Any]) -> Callable[[], HookedModel]:
    """Load a model, under a name that tells it from the other checkpoints."""

    def loaded() -> HookedModel:
        model = load_model(source, **load)
        model.name = name
        return model

    return loaded


def _refuse_revisions(revisions: Sequence[str] | None) -> None:
    if revisions is not None:
        raise ValueError(
            "revisions= are those of a model on the Hugging Face hub: choose among other checkpoints by a "
            "slice, or give a mapping from steps to folders"
        )


def _shape(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: config[name] for name in _SHAPE if config.get(name) is not None}


def _other_architecture(
    name: str, before: int, known: dict[str, Any], step: int, shape: dict[str, Any]
) -> str:
    part = next(part for part in {**known, **shape} if known.get(part) != shape.get(part))
    return (
        f"the checkpoints of {name} are of different architectures: {part} is {known.get(part)} at step "
        f"{before} and {shape.get(part)} at step {step}; give those of one run"
    )


def _listed(steps: Sequence[int]) -> str:
    shown = [str(step) for step in steps]
    return ", ".join(shown) if len(shown) <= 30 else f"{', '.join(shown[:10])}, ..., {shown[-1]}"
