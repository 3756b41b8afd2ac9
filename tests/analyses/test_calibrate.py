from collections.abc import Callable
from typing import Any

import pytest
import torch

import conceptscope as cs
from conceptscope.analyses._trials import Trials

FEW = 6


def kl_at(world: cs.HookedModel, prompts: list[str], family: Any, strength: float) -> float:
    found = cs.dose_response(
        world, prompts, family, [strength], measure="smile", max_new_tokens=FEW, directions=1
    )
    return found.doses[0].kl.value


@pytest.mark.parametrize("start", [1.0, -1.0, 30.0])
def test_the_kl_is_hit(start: float, world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> None:
    for kl in (0.05, 0.5):
        strength = cs.calibrate(world, prompts, concept.add, kl=kl, start=start, max_new_tokens=FEW)
        assert strength * start > 0
        assert kl_at(world, prompts, concept.add, strength) == pytest.approx(kl, rel=0.011)


def test_more_kl_takes_more_strength(world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> None:
    levels = (0.02, 0.05, 0.1, 0.3, 0.6, 1.0)
    found = [cs.calibrate(world, prompts, concept.add, kl=kl, max_new_tokens=FEW) for kl in levels]
    assert found == sorted(found)


def test_it_is_deterministic_and_sharp(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    torch.manual_seed(3)
    once = cs.calibrate(world, prompts, concept.add, kl=0.3, tolerance=1e-4, max_new_tokens=FEW)
    torch.manual_seed(4)
    again = cs.calibrate(world, prompts, concept.add, kl=0.3, tolerance=1e-4, max_new_tokens=FEW)
    assert once == again
    assert kl_at(world, prompts, concept.add, once) == pytest.approx(0.3, rel=1.1e-4)
    wide = cs.calibrate(world, prompts, concept.add, kl=0.3, max_new_tokens=FEW)
    assert once == pytest.approx(wide, rel=0.02)


def test_units_do_not_matter(world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> None:
    """A family in activation units finds the same vector."""
    vector = concept.vector / concept.vector.norm()
    by_sd = cs.calibrate(world, prompts, concept.add, kl=0.3, tolerance=1e-3, max_new_tokens=FEW)
    family = lambda length: cs.add_vector(concept.site, length * vector)  # noqa: E731
    by_length = cs.calibrate(world, prompts, family, kl=0.3, tolerance=1e-3, max_new_tokens=FEW)
    assert by_length == pytest.approx(by_sd * concept.vector.norm().item(), rel=5e-3)


def test_continuations_may_be_drawn(world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> None:
    drawn = {"temperature": 1.0, "max_new_tokens": 5, "generator": 3}
    strength = cs.calibrate(world, prompts, concept.add, kl=0.2, **drawn)
    assert strength == cs.calibrate(world, prompts, concept.add, kl=0.2, **drawn)
    assert strength != cs.calibrate(world, prompts, concept.add, kl=0.2, max_new_tokens=5)
    kl = Trials(world, prompts, 5, 1.0, 3).under([concept.add(strength)]).kl().mean()
    assert kl == pytest.approx(0.2, rel=0.01)


def test_one_prompt_is_enough(world: cs.HookedModel, concept: cs.Concept, prompts: list[str]) -> None:
    assert cs.calibrate(world, prompts[:1], concept.add, kl=0.1, max_new_tokens=FEW) > 0


def test_a_kl_that_no_strength_has_is_refused(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    run: Callable[..., float] = lambda family, **settings: cs.calibrate(  # noqa: E731
        world, prompts, family, **{"max_new_tokens": FEW} | settings
    )
    with pytest.raises(ValueError, match=r"no strength up to 2 has a KL of 2: there it is 0\.\d+; give a"):
        run(concept.add, start=0.01, largest=2.0, kl=2)
    with pytest.raises(ValueError, match=r"no strength up to -16 has a KL of 50: .* a greater largest="):
        run(concept.add, start=-1, largest=16.0, kl=50)
    with pytest.raises(ValueError, match=r"the KL is 0\.\d+ at strength 0 already, and 0\.01 is wanted"):
        run(lambda s: concept.add(1 + s), kl=0.01)
    with pytest.raises(ValueError, match=r"no strength has a KL of 0\.1: near 2 it jumps over that"):
        run(lambda s: concept.add(4.0 * (s >= 2)), kl=0.1)


def test_settings_out_of_range_are_refused(
    world: cs.HookedModel, concept: cs.Concept, prompts: list[str]
) -> None:
    for settings, said in (
        ({"kl": 0}, "kl must be positive and finite, got 0"),
        ({"start": 0}, "start must lie between 0 and largest, got start=0"),
        ({"start": 5, "largest": 2}, "got start=5 and largest=2"),
        ({"tolerance": 1.5}, "tolerance must be a share between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=said):
            cs.calibrate(world, prompts, concept.add, **settings)
    with pytest.raises(TypeError, match=r"such as concept\.add"):
        cs.calibrate(world, prompts, concept.add(1.0))  # type: ignore[arg-type]
