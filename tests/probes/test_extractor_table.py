"""The table of all extractors, `benchmarks/extractors.py`, where it has bars."""

from collections.abc import Callable
from types import ModuleType

import pytest

from conceptscope.hooks import load_model


@pytest.fixture(scope="module")
def table(benchmark_module: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_module("extractors")


def test_a_discriminant_reads_a_confounded_concept_better_than_the_mean_difference(table: ModuleType) -> None:
    names = ("MeanDifference", "LinearDiscriminant")
    found = table.confounded(load_model("tinyworld"), {name: table.FITS[name] for name in names})
    plain, whitened = (found[name] for name in names)
    assert len(plain) == 4
    for site in plain:
        assert whitened[site][0] >= plain[site][0] + 0.05
        assert whitened[site][1] == pytest.approx(plain[site][1], abs=1e-4)
        assert whitened[site][2] >= plain[site][2]
        assert whitened[site][3] >= plain[site][3]
    assert whitened["resid_post.3"][2] > plain["resid_post.3"][2] + 0.05


def test_no_extractor_finds_what_nothing_determines(table: ModuleType) -> None:
    found = table.coins(load_model("tinyworld"))
    assert len(found) == 6
    assert all(contained for _, contained in found.values())
