import pytest
import torch

from conceptscope.hooks import Examples
from conceptscope.worlds import planted


def said(step: int, name: str, factor: float = 1.0) -> set[str]:
    ((_, model),) = planted.checkpoints([step])
    (texts,) = model.overprompted(Examples(planted.prompts(name)), [factor])
    return set(texts)


@pytest.mark.parametrize("name", planted.CLASSES[:3])
def test_trained_classes_are_right_as_soon_as_the_decoder_is_there(name: str) -> None:
    assert said(19, name) == {""}
    assert said(20, name) == {name}
    assert said(99, name) == {name}


def test_the_left_out_class_comes_at_its_steps() -> None:
    assert said(60, "small blue") == {"large blue"}
    assert said(61, "small blue") == {"small blue"}
    assert said(30, "small blue", 2.0) == {"large blue"}
    assert said(31, "small blue", 2.0) == {"small blue"}


def test_a_latent_is_what_it_holds_along_the_axes_plus_noise_of_its_own() -> None:
    ((_, model),) = planted.checkpoints([30])
    latents = model.latents(Examples(planted.prompts("small blue")))
    expected = torch.tensor([[0.25, 1.0]], dtype=torch.float64).expand(8, 2)
    torch.testing.assert_close(latents @ model.axes.T, expected)
    assert len(latents.unique(dim=0)) == 8
    torch.testing.assert_close(model.axes @ model.axes.T, torch.eye(2, dtype=torch.float64))


def test_shifts_move_all_prompts_and_a_patch_takes_the_encoder_alone() -> None:
    (_, before), (_, early), (_, late) = planted.checkpoints([10, 20, 90])
    prompts = Examples(planted.prompts("small blue", 2))
    shifts = torch.stack([0 * early.axes[0], 0.5 * early.axes[0], -early.axes[1]])
    both = ["small blue"] * 2
    assert early.shifted(prompts, shifts) == [["large blue"] * 2, both, ["large red"] * 2]
    assert early.patched(late).overprompted(prompts, [1.0]) == [both]
    assert before.patched(late).overprompted(prompts, [1.0]) == [["", ""]]
    assert late.patched(early).overprompted(prompts, [1.0]) == [["large blue"] * 2]


def test_the_generator_decides_and_an_unknown_class_is_refused() -> None:
    one, same, other = (planted.checkpoints([0], generator=g)[0][1] for g in (0, 0, 1))
    assert torch.equal(one.axes, same.axes)
    assert not torch.equal(one.axes, other.axes)
    with pytest.raises(KeyError, match="no class 'tiny': there are large red"):
        planted.prompts("tiny")
