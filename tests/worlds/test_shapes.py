import math

import pytest
import torch

from conceptscope.analyses import Target, hidden_capability
from conceptscope.analyses._hidden_capability_model import Promptable
from conceptscope.hooks import Examples
from conceptscope.worlds import shapes
from conceptscope.worlds.shapes import Shapes, ShapesModel

CLASSES = (*shapes.TRAINED, ("small", "blue"))


@pytest.fixture(scope="module")
def run() -> list[tuple[int, ShapesModel]]:
    return shapes.checkpoints([0, 30, 80], shapes=Shapes(0.3, 0.8))


@pytest.fixture(scope="module")
def model(run: list[tuple[int, ShapesModel]]) -> ShapesModel:
    return run[-1][1]


def examples(*classes: tuple[str, str], n: int = 3) -> Examples:
    return Examples([text for one in classes for text in shapes.prompts(*one, n)])


def loss(model: ShapesModel) -> float:
    batch = shapes._batch(model.shapes, 64, torch.zeros(2), torch.Generator().manual_seed(9))
    with torch.no_grad():
        return model.generator.loss(*batch).item()


def test_training_reduces_the_loss(run: list[tuple[int, ShapesModel]]) -> None:
    first, second, third = (loss(model) for _, model in run)
    assert third < second < first
    assert third < 0.5 * first


def test_the_loss_is_the_mean_square_error_of_the_guess(model: ShapesModel) -> None:
    images, told, _, noise = shapes._batch(model.shapes, 4, torch.zeros(2), torch.Generator().manual_seed(2))
    generator = model.generator
    with torch.no_grad():
        last = generator.loss(images, told, torch.ones(4), noise)
        guess = generator(images, generator.latents(told, torch.ones(4)))
    torch.testing.assert_close(last, (guess - images).square().mean())


def test_batches_hold_what_is_trained_and_tell_of_it_what_is_not_masked() -> None:
    space = Shapes(0.3, 0.4)
    images, told, times, noise = shapes._batch(
        space, 1200, torch.tensor([0.0, 0.6]), torch.Generator().manual_seed(0)
    )
    positions, clear = space.read(images)
    assert clear.all()
    nearest = (positions > 0.5).int().tolist()
    shares = [nearest.count(one) / 1200 for one in ([0, 0], [1, 0], [0, 1], [1, 1])]
    assert shares[3] == 0
    assert all(abs(share - 1 / 3) < 4 * math.sqrt(2 / 9 / 1200) for share in shares[:3])
    scatter = (positions - positions.round().clamp(0, 1)).std(0)
    assert ((scatter > 0.09) & (scatter < 0.11)).all()
    silent = (told[:, 3] - 0.5).abs() < 1e-6
    assert silent.double().mean().item() == pytest.approx(0.6, abs=4 * math.sqrt(0.24 / 1200))
    truth = space.told(positions)
    assert (told[:, 0] - truth[:, 0]).abs().max() < 0.02
    torch.testing.assert_close(told[~silent, 1:], truth[~silent, 1:], atol=1e-4, rtol=0)
    assert 0 <= times.min() < 0.01 < 0.99 < times.max() <= 1
    assert noise.std().item() == pytest.approx(1, abs=0.01)


def test_it_draws_by_eulers_steps_of_straight_flow(model: ShapesModel) -> None:
    prompts = examples(("large", "blue"))
    x = torch.stack([torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(n)) for n in range(3)])
    told = model.shapes.told(torch.tensor([[0.0, 1.0]] * 3))
    with torch.no_grad():
        for step in range(8):
            time = torch.full((3,), step / 8)
            guess = model.generator(x, model.generator.latents(told, time))
            x = x + (guess - x) / (1 - step / 8) / 8
    torch.testing.assert_close(model.images(prompts), x)
    positions, clear = model.shapes.read(x)
    assert clear.all()
    positions[~clear] = 0.5
    torch.testing.assert_close(model.positions(prompts), positions)


def test_what_it_says_is_what_it_drew() -> None:
    space = Shapes(0.3, 0.8)
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    untrained = ShapesModel(shapes._untrained(shapes.PRESETS["small"], 0), space)
    said = untrained._said(torch.cat([space.draw(corners), torch.zeros(1, 3, 32, 32)]))
    assert said == [*(" ".join(one) for one in CLASSES), shapes.NOTHING]
    rights = [[meets(text) for meets in shapes.SUCCESS.values()] for text in said]
    assert rights == [[False, False], [True, False], [False, True], [True, True], [False, False]]
    assert set(untrained.overprompted(examples(*CLASSES), [1.0])[0]) == {shapes.NOTHING}
    assert untrained.positions(examples(*CLASSES)).eq(0.5).all()


def test_a_shift_of_the_latents_is_another_prompt(model: ShapesModel) -> None:
    assert isinstance(model, Promptable)
    asked, wanted = examples(("large", "red")), examples(("large", "blue"))
    shift = (model.latents(wanted) - model.latents(asked)).mean(0)
    plain, moved = model.shifted(asked, torch.stack([0 * shift, shift]).double())
    assert [plain] == model.overprompted(asked, [1.0])
    assert [moved] == model.overprompted(wanted, [1.0])
    told, noise = model._told(asked), shapes._noise(asked)
    torch.testing.assert_close(
        model._drawn(told, noise, shift.expand(3, -1)), model.images(wanted), atol=1e-4, rtol=1e-4
    )


def test_many_shifts_are_drawn_in_parts(model: ShapesModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = examples(("large", "red"), ("small", "red"))
    shifts = 3 * torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    whole = model.shifted(asked, shifts)
    monkeypatch.setattr(shapes, "_ROWS", 13)
    assert model.shifted(asked, shifts) == whole
    assert [len(one) for one in whole] == [6] * 5


def test_latents_are_means_over_the_times_that_surroundings_hold(model: ShapesModel) -> None:
    asked = examples(*CLASSES)
    rows = model.surroundings(asked).view(8, 12, -1)
    torch.testing.assert_close(model.latents(asked), rows.mean(0))
    told = model.shapes.told(torch.tensor([[1.0, 1.0]]))
    with torch.no_grad():
        torch.testing.assert_close(
            rows[3, -1:], model.generator.latents(told, torch.tensor([0.375])), atol=1e-5, rtol=1e-5
        )


def test_overprompting_goes_beyond_the_corner_of_concept_space(model: ShapesModel) -> None:
    asked = examples(("small", "blue"), n=1)
    beyond = model.shapes.told(torch.tensor([[1.5, 1.5]]))
    torch.testing.assert_close(model._told(asked, 2.0), beyond)
    middle = model.shapes.told(torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(model._told(asked, 0.0), middle)


def test_a_patch_takes_the_concepts_network_alone(run: list[tuple[int, ShapesModel]]) -> None:
    (_, early), _, (_, late) = run
    patched, asked = early.patched(late), examples(*CLASSES)
    assert not torch.equal(early.latents(asked), late.latents(asked))
    for name, weights in patched.generator.state_dict().items():
        source = late if name.startswith("concepts.") else early
        assert torch.equal(weights, source.generator.state_dict()[name]), name
    before = early.images(asked)
    patched.images(asked)
    assert torch.equal(early.images(asked), before)


def test_hidden_capability_asks_it_in_every_way(run: list[tuple[int, ShapesModel]]) -> None:
    target = Target(
        shapes.prompts("small", "blue", 2),
        dict(shapes.SUCCESS),
        {
            (): shapes.prompts("large", "red", 2),
            ("size",): shapes.prompts("small", "red", 2),
            ("colour",): shapes.prompts("large", "blue", 2),
        },
    )
    found = hidden_capability(run[::2], target, grid=[1.0], families=2)
    assert found.steps == (0, 80)
    first, last = found.asked
    assert (first.naive, first.over, float(first.latent.max())) == (0, 0, 0)
    assert first.patch == 0
    assert last.latent.shape == (3,)
    assert last.random.shape == (2, 3)


def test_the_seed_decides_and_nothing_seeds_globally() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, same, other = (shapes.train(2, generator=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(2), expected)
    weights = [model.generator.last.weight for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_papers_size_takes_a_step() -> None:
    generator = shapes._untrained(shapes.PRESETS["paper"], 0)
    batch = shapes._batch(Shapes(), 1, torch.zeros(2), torch.Generator().manual_seed(0))
    generator.loss(*batch).backward()
    assert all(weights.grad is not None for weights in generator.parameters())


def test_refuses() -> None:
    with pytest.raises(KeyError, match="no 'green': there are red and blue"):
        shapes.prompts("small", "green")
    with pytest.raises(KeyError, match="no 'tiny': there are large and small"):
        shapes.prompts("tiny", "blue")
    with pytest.raises(KeyError, match="no preset 'huge': there are small and paper"):
        shapes.train(1, preset="huge")
    with pytest.raises(ValueError, match="masked shares must be from 0 on and below 1"):
        shapes.train(1, masked=(0.0, 1.0))
    with pytest.raises(ValueError, match="no steps were given"):
        shapes.checkpoints([])
