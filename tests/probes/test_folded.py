from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from conceptscope.hooks import Activations, Examples
from conceptscope.hooks._column import Column
from conceptscope.hooks._store import open_store
from conceptscope.probes import Leace, LinearDiscriminant, Logistic, MeanDifference, PrincipalDirection, sweep
from conceptscope.probes import _rows as rows_module
from conceptscope.probes._folded import FitsFolds, Folded
from conceptscope.probes._labelled import Labelled
from conceptscope.probes._random_directions import RandomDirections

EXTRACTORS = [
    MeanDifference(),
    LinearDiscriminant(),
    LinearDiscriminant(shrinkage=0.1),
    Leace(),
    Leace(shrinkage=0),
    PrincipalDirection(),
]


def pairs(n: int = 600, d: int = 8, massive: float = 0.0, sites: int = 1) -> Activations:
    """Pairs in a random order that differ by 1 along a direction, beside one that has a great mean."""
    rng = torch.Generator().manual_seed(d)
    tensors = {}
    for layer in range(sites):
        x = torch.randn(n, d, generator=rng) * torch.linspace(0.3, 2, d)
        x[:, 1] += torch.arange(n) % 2
        x[:, 0] += massive
        tensors[f"resid_post.{layer}"] = x
    order = torch.randperm(n, generator=rng)
    labels = [("bad", "good")[row % 2] for row in order]
    return Activations({site: x[order] for site, x in tensors.items()}, labels, pairs=(order // 2).tolist())


def stored(folder: Path, acts: Activations, shard: int = 128) -> Activations:
    """The same activations in a store, the rows of a shard written together."""
    settings = {"model_name": "none", "position": "last", "n_layers": len(acts)}
    with open_store(folder, settings, lambda: shard) as store:
        for number, first in enumerate(range(0, acts.n_rows, shard)):
            part = acts[first : first + shard]
            texts = [f"text {row}" for row in range(first, first + part.n_rows)]
            store.put(number, Examples(texts, part.labels, pairs=part.pairs), Activations(dict(part)))
        store.finish(acts.n_rows)
    return Activations.open(folder)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 8 * 8 * 70)


@pytest.fixture
def no_mapping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file that is mapped stays in memory as far as it was read."""

    def refuse(column: Column) -> torch.Tensor:
        raise AssertionError(f"{column.name} is mapped")

    with monkeypatch.context() as patched:
        patched.setattr(Column, "mapped", refuse)
        yield


@pytest.mark.usefixtures("small_blocks", "no_mapping")
@pytest.mark.parametrize("extractor", EXTRACTORS, ids=str)
def test_a_store_gives_what_memory_gives(tmp_path: Path, extractor: Any) -> None:
    acts = pairs(sites=2)
    opened = stored(tmp_path, acts)
    for site in acts.sites:
        ours, theirs = extractor.fit(opened, site), extractor.fit(acts, site)
        for part in ("reading", "steering", "offset", "scale", "mean"):
            assert torch.equal(getattr(ours, part), getattr(theirs, part))
        assert (ours.source["settings"], ours.classes) == (theirs.source["settings"], theirs.classes)
    ours, theirs = sweep(opened, extractor, permutations=3), sweep(acts, extractor, permutations=3)
    assert ours.to_frame().equals(theirs.to_frame())
    assert torch.equal(ours.best.reading, theirs.best.reading)
    assert torch.equal(ours.generator_state, theirs.generator_state)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("extractor", EXTRACTORS, ids=str)
def test_blocks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch, extractor: Any) -> None:
    acts = pairs(n=502)
    small = sweep(acts, extractor)
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 1 << 30)
    whole = sweep(acts, extractor)
    for part in ("reading", "offset", "scale"):
        torch.testing.assert_close(getattr(small.best, part), getattr(whole.best, part))
    (site,) = acts.sites
    torch.testing.assert_close(
        torch.from_numpy(small.held_out.scores[site]),
        torch.from_numpy(whole.held_out.scores[site]),
        rtol=1e-9,
        atol=1e-9,
    )
    assert small.to_frame().equals(whole.to_frame())


@pytest.mark.parametrize("massive", [0.0, 1e3])
@pytest.mark.parametrize("n", [600, 20], ids=["more than dimensions", "fewer"])
@pytest.mark.parametrize("extractor", EXTRACTORS, ids=str)
def test_a_sweep_s_fits_are_those_of_the_rows_it_trains_on(extractor: Any, n: int, massive: float) -> None:
    acts = pairs(n, d=12 if n > 100 else 40, massive=massive).to(torch.float64)
    (site,) = acts.sites
    held_out = sweep(acts, extractor, folds=4, controls=False).held_out
    for fold in range(4):
        test = held_out.fold == fold
        concept = extractor.fit(acts[~test])
        expected = concept.read(acts[test]).numpy()
        np.testing.assert_allclose(held_out.scores[site][test], expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(held_out.scale[site][fold], concept.scale.numpy(), rtol=1e-6)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("massive", [0.0, 1e3])
def test_means_and_directions_are_those_of_all_rows_at_once(massive: float) -> None:
    acts = pairs(500, massive=massive).to(torch.float64)
    x = acts["resid_post.0"]
    codes = torch.stack([torch.arange(500) % 2, torch.arange(500) // 7 % 3])
    data, fold = Labelled.of(acts, None), torch.arange(500) % 3
    found = Folded.without_each(data, codes, 3, fold, RandomDirections(5, 3, draws=4))
    for training in range(4):
        kept = fold != training
        torch.testing.assert_close(found.middles[training], x[kept].mean(0), rtol=1e-13, atol=1e-13)
        for labels, code in enumerate(codes):
            for number in range(int(code.max()) + 1):
                mean = x[kept & (code == number)].mean(0)
                torch.testing.assert_close(
                    found.means[training, labels, number], mean, rtol=1e-13, atol=1e-13
                )
    weights = torch.from_numpy(np.random.default_rng(5).standard_normal((500, 4 * 3)))
    directions = ((x - x.mean(0)).T @ weights).view(-1, 4, 3)
    assert found.sums.directions is not None
    torch.testing.assert_close(found.sums.directions, directions, rtol=1e-9, atol=1e-9)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor):
                self.bytes = max(self.bytes, one.untyped_storage().nbytes())
        return made


@pytest.mark.usefixtures("no_mapping")
def test_no_more_than_a_block_is_in_memory_however_many_rows_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 1 << 19)
    d, seen = 128, {}
    for n in (1_000, 20_000):
        opened = stored(tmp_path / str(n), pairs(n, d=d), shard=1000)
        with Largest() as largest:
            for extractor in (MeanDifference(), LinearDiscriminant(), Leace(), PrincipalDirection()):
                extractor.fit(opened)
            sweep(opened, MeanDifference(), folds=3)
            sweep(opened, LinearDiscriminant(), folds=3)
        seen[n] = largest.bytes
    whole = 20_000 * d * 4
    assert seen[20_000] <= 1.01 * seen[1_000] < whole / 4
    with Largest() as largest:
        Labelled.of(opened, None).x.sum()
    assert largest.bytes == 2 * whole


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("extractor", [*EXTRACTORS, Logistic()], ids=str)
def test_a_store_is_refused_as_memory_is(tmp_path: Path, extractor: Any) -> None:
    acts = pairs()
    bad, same = acts["resid_post.0"].clone(), torch.full((600, 8), 3.0)
    bad[[150, 430], 2] = torch.tensor([torch.nan, torch.inf])
    for x, message in (
        (bad, "2 of 600 rows at resid_post.0 are NaN or infinite, the first is row 150"),
        (same, "the activations at resid_post.0 are the same for every example"),
    ):
        opened = stored(tmp_path / message[:5], acts.with_tensors({"resid_post.0": x}))
        for given in (opened, opened[:], acts.with_tensors({"resid_post.0": x})):
            with pytest.raises(ValueError, match=message):
                extractor.fit(given)
            with pytest.raises(ValueError, match=message):
                sweep(given, extractor)
    unlabelled = stored(tmp_path / "bare", Activations(acts, pairs=acts.pairs))
    with pytest.raises(ValueError, match="have no labels"):
        sweep(unlabelled, extractor)


def test_who_fits_from_sums() -> None:
    assert all(isinstance(extractor, FitsFolds) for extractor in EXTRACTORS)
    assert not isinstance(Logistic(), FitsFolds)
