import itertools
from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import pytest
import torch

from conceptscope.analyses import HiddenCapability, Target, hidden_capability, overprompt
from conceptscope.hooks import Examples, add_vector, capture, generate, intervene, load_model
from conceptscope.worlds import planted, two_factor

mpl.use("agg")
SUCCESS = {"size": lambda text: "small" in text, "colour": lambda text: "blue" in text}
TARGET = Target(
    planted.prompts("small blue"),
    SUCCESS,
    {
        (): planted.prompts("large red"),
        ("size",): planted.prompts("small red"),
        ("colour",): planted.prompts("large blue"),
    },
)


def of_planted(steps: Iterable[int], **settings: Any) -> HiddenCapability:
    return hidden_capability(planted.checkpoints(steps), TARGET, grid=[0.5, 1.0], **settings)


@pytest.fixture(scope="module")
def found() -> HiddenCapability:
    return of_planted(range(15, 65), generator=1)


def test_a_planted_capability_is_found_at_exactly_its_steps(found: HiddenCapability) -> None:
    assert (found.t_train, found.t_latent, found.t_over, found.t_naive) == (20, 20, 31, 61)
    assert found.t_patch == 20
    assert found.hidden
    assert found.since == 20
    assert found.silent == tuple(range(20, 61))
    assert found.p == pytest.approx(0.05)
    assert found.latent_rate == 0.75  # the six shifts of eight that move the size
    assert found.null_rate is not None
    assert 0 < found.null_rate < 0.3
    assert found.null_rate_at_first == float((found.asked[5].random >= 0.8).double().mean())
    assert "from step 20 on, prompts from step 61 on" in found.verdict


def test_random_hits_are_those_of_geometry() -> None:
    """A random shift succeeds where it moves the size far enough and leaves the colour where it is."""
    steps = range(20, 40)
    found = of_planted(steps, families=100)
    size, colour = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for index in (0, 19):
        ((_, model),) = planted.checkpoints([steps[index]])
        latents = torch.cat([model.latents(Examples(planted.prompts(name))) for name in planted.CLASSES])
        covariance = torch.cov((latents).T, correction=0)
        spread = (model.axes @ covariance @ model.axes.T) / covariance.trace()
        along = torch.linalg.cholesky(spread) @ torch.stack([size, colour])
        first, second = along.split(100_000, 1)
        need, spare = 0.5 - steps[index] / 120, 0.5
        rates = []
        for a, b in [(a, b) for a in (0, 0.5, 1) for b in (0, 0.5, 1) if a or b]:
            moved = a * first + b * second
            rates.append(float(((moved[0] > need) & (moved[1] > -spare)).double().mean()))
        measured = float((found.asked[index].random >= 0.8).double().mean())
        assert measured == pytest.approx(sum(rates) / len(rates), abs=0.05)


def test_shares_are_those_asked_for_by_hand(found: HiddenCapability) -> None:
    ((_, model),) = planted.checkpoints([25])
    one = next(one for one in found.asked if one.step == 25)
    small, blue = (
        model.latents(Examples(planted.prompts(name))).mean(0)
        - model.latents(Examples(planted.prompts("large red"))).mean(0)
        for name in ("small red", "large blue")
    )
    doses = [(a, b) for a in (0, 0.5, 1) for b in (0, 0.5, 1) if a or b]
    for dose, share in zip(doses, one.latent.tolist(), strict=True):
        shift = dose[0] * small + dose[1] * blue
        (texts,) = model.shifted(Examples(planted.prompts("small blue")), shift[None])
        assert share == sum(text == "small blue" for text in texts) / 8


def test_random_shifts_are_as_long_as_the_concepts() -> None:
    lengths: list[torch.Tensor] = []

    class Noted(planted.PlantedModel):
        def shifted(self, prompts: Any, shifts: torch.Tensor) -> list[list[str]]:
            lengths.append(shifts[1:].norm(dim=1).view(-1, 8))
            return super().shifted(prompts, shifts)

    ((_, model),) = planted.checkpoints([30])
    hidden_capability([(30, Noted(**vars(model)))], TARGET, grid=[0.5, 1.0], families=5)
    singles = [0, 1, 2, 5]  # the attempts (0, .5), (0, 1), (.5, 0) and (1, 0)
    assert lengths[0].shape == (6, 8)
    for family in lengths[0]:
        torch.testing.assert_close(family[singles], lengths[0][0, singles])


def test_not_hidden_where_random_directions_do_as_well() -> None:
    """Whatever moves the latents frees what prompts cannot: the concepts' directions are not special."""

    class Yielding(planted.PlantedModel):
        def shifted(self, prompts: Any, shifts: torch.Tensor) -> list[list[str]]:
            plain = super().shifted(prompts, 0 * shifts[:1])[0]
            return [["small blue"] * 8 if shift.norm() > 0 else plain for shift in shifts]

    runs = [(step, Yielding(**vars(model))) for step, model in planted.checkpoints(range(10, 70, 10))]
    found = hidden_capability(runs, TARGET, grid=[1.0], elicit=["naive", "latent"])
    assert (found.t_latent, found.since, found.t_naive) == (10, 20, None)
    assert found.t_random == (10,) * 19
    assert (found.null_rate, found.p, found.hidden) == (1.0, 1.0, False)
    assert found.verdict.startswith("Not shown to be hidden: ")


def test_all_concepts_must_be_right() -> None:
    train = {**TARGET.train, ("never",): ["large red 0"]}
    target = Target(TARGET.prompts, {**SUCCESS, "never": lambda text: False}, train)
    found = hidden_capability(planted.checkpoints([30]), target, grid=[1.0])
    assert float(found.asked[0].latent.max()) == 0
    assert TARGET.share_right(["small blue", "small red", "large blue", "small blue"]) == 0.5
    assert TARGET.share_right(["small red", "small blue"], ("size",)) == 0.5


def test_the_gate_leaves_out_what_is_not_trained() -> None:
    found = of_planted([10, 15])
    assert (found.t_train, found.since, found.p, found.null_rate) == (None, None, 1.0, None)
    assert "no checkpoint is right on what was trained" in found.verdict
    assert not of_planted([90, 95]).hidden
    assert "as soon as what was trained, at step 90" in of_planted([90, 95]).verdict


def test_times_want_so_many_successes_running() -> None:
    models = dict(planted.checkpoints(range(100)))
    runs = [(step, models[99 if step == 3 else step]) for step in (0, 3, 6, 70, 80, 90)]
    assert hidden_capability(runs, TARGET, grid=[1.0]).t_naive == 3
    assert hidden_capability(runs, TARGET, grid=[1.0], consecutive=2).t_naive == 70


def test_what_is_left_out_is_not_asked() -> None:
    runs = planted.checkpoints([20, 40])
    found = hidden_capability(iter(runs), TARGET, elicit=("naive", "latent"), grid=[1.0])
    assert (found.t_over, found.t_patch) == (None, None)
    assert {"overprompt", "patch"}.isdisjoint(found.to_frame().columns)


def test_the_generator_decides() -> None:
    one, same, other = (of_planted([30], generator=seed) for seed in (0, 0, 1))
    assert torch.equal(one.asked[0].random, same.asked[0].random)
    assert not torch.equal(one.asked[0].random, other.asked[0].random)
    assert torch.equal(one.asked[0].latent, other.asked[0].latent)
    assert torch.equal(one.generator_state, torch.Generator().manual_seed(0).get_state())


def test_a_trained_capability_is_hidden_for_a_while() -> None:
    """Seed 0 of the benchmark, around the steps that matter."""
    models = two_factor.checkpoints([12, *range(24, 46, 3)])
    runs = [(step, load_model(model, tokenizer=two_factor.tokenizer())) for step, model in models]
    said = {(): ("large", "red"), ("size",): ("small", "red"), ("colour",): ("large", "blue")}
    train = {which: two_factor.prompts(*words) for which, words in said.items()}
    target = Target(two_factor.prompts("small", "blue"), two_factor.SUCCESS, train)
    found = hidden_capability(runs, target, grid=[0.5, 1.0, 2.0], max_new_tokens=2)
    assert found.since is not None
    assert found.t_naive is not None
    assert found.since < found.t_naive
    assert found.hidden
    assert found.null_rate_at_first == 0


def test_presents_itself(found: HiddenCapability) -> None:
    frame = found.to_frame()
    assert list(frame.columns[:6]) == ["step", "train", "naive", "latent", "overprompt", "patch"]
    assert (frame.loc[frame["silent"], "latent_hits"] == 0.75).all()
    assert found.null_rate == pytest.approx(frame.loc[frame["silent"], "random_hits"].mean())
    axes = found.plot()
    assert [line.get_label() for line in axes.lines][:2] == ["train", "naive"]
    assert "Hidden: " in found._repr_html_()
    assert repr(found).startswith("HiddenCapability(50 checkpoints: Hidden")


def test_a_hooked_model_is_asked_as_by_hand() -> None:
    model, site, n = load_model("tinyworld"), "resid_post.1", 2
    told = {
        (): ["the dog was", "anna was"],
        ("now",): ["the dog is", "anna is"],
        ("many",): ["the dogs were", "my cats were"],
    }
    success = {"now": lambda text: " not" not in text, "many": lambda text: len(text.split()) > 1}
    target = Target(["the cars are", "the big cats are", "my boys are"], success, told)
    found = hidden_capability([(0, model)], target, grid=[2.0, 8.0], families=2, max_new_tokens=n)
    (one,) = found.asked
    plain, now, many = (capture(model, texts, site, position="mean")[site].mean(0) for texts in told.values())
    doses = [dose for dose in itertools.product((0.0, 2.0, 8.0), repeat=2) if any(dose)]
    for share, (a, b) in zip(one.latent.tolist(), doses, strict=True):
        with intervene(model, add_vector(site, a * (now - plain) + b * (many - plain))):
            assert share == target.share_right(generate(model, target.prompts, max_new_tokens=n))
    assert one.naive == one.patch == target.share_right(generate(model, target.prompts, max_new_tokens=n))
    overs = []
    for factor in (3.0, 9.0):
        with intervene(model, overprompt(factor, "prompt")):
            overs.append(target.share_right(generate(model, target.prompts, max_new_tokens=n)))
    assert one.over == max(overs)


def test_refuses() -> None:
    runs = planted.checkpoints([20])
    with pytest.raises(KeyError, match="unknown elicitation 'prompt': there are naive, latent"):
        hidden_capability(runs, TARGET, elicit=["naive", "prompt"])
    with pytest.raises(ValueError, match="elicit must name 'naive' and 'latent'"):
        hidden_capability(runs, TARGET, elicit=["naive"])
    with pytest.raises(ValueError, match="the target has no trained combinations"):
        hidden_capability(runs, Target(["a"], SUCCESS))
    with pytest.raises(ValueError, match="the grid must hold positive numbers"):
        hidden_capability(runs, TARGET, grid=[0.0])
    with pytest.raises(ValueError, match="threshold must be above 0"):
        hidden_capability(runs, TARGET, threshold=0)
    with pytest.raises(ValueError, match="families must be a whole number from 1 on, got 0"):
        hidden_capability(runs, TARGET, families=0)
    with pytest.raises(ValueError, match="pass a list, or leave 'patch' out"):
        hidden_capability(iter(runs), TARGET)
    for empty in ([], iter([])):
        with pytest.raises(ValueError, match="there are no checkpoints"):
            hidden_capability(empty, TARGET, elicit=["naive", "latent"])
    with pytest.raises(ValueError, match="there are no checkpoints"):
        hidden_capability([], TARGET)
    with pytest.raises(TypeError, match="a checkpoint must be a HookedModel, or have the methods"):
        hidden_capability([(0, torch.nn.Linear(2, 2))], TARGET)
    with pytest.raises(ValueError, match=r"there is no site 'resid_post\.9'"):
        hidden_capability([(0, load_model())], TARGET, site="resid_post.9")
