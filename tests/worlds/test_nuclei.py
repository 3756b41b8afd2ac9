"""Measured masses, the semi-empirical formula, and the model that learns them."""

import math
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("periodictable")

from conceptscope.worlds import nuclei

KNOWN = nuclei.nuclides(above=-1)
HEAVY = nuclei.nuclides()
SMALL = nuclei.Recipe(width=32, steps=200)
ONE_STEP = nuclei.Recipe(width=8, steps=1)


@pytest.mark.parametrize(
    ("z", "n", "per_nucleon"), [(2, 2, 7.07392), (26, 30, 8.79036), (28, 34, 8.79455), (82, 126, 7.86745)]
)
def test_binding_energies_are_the_published_ones(z: int, n: int, per_nucleon: float) -> None:
    assert float(KNOWN.binding[KNOWN.index(z, n)]) / (z + n) == pytest.approx(per_nucleon, abs=1e-5)


@pytest.mark.parametrize(
    ("task", "z", "n", "energy"),
    [
        ("beta", 1, 2, 0.01859),
        ("beta", 6, 8, 0.15648),
        ("capture", 4, 3, 0.86189),
        ("neutron", 26, 30, 11.1971),
        ("proton", 26, 30, 10.1836),
        ("alpha", 92, 146, 4.2699),
        ("beta_neutron", 35, 52, 1.3025),
    ],
)
def test_energies_are_the_published_ones(task: str, z: int, n: int, energy: float) -> None:
    """Tritium, carbon-14, beryllium-7, iron-56, uranium-238, bromine-87."""
    assert float(KNOWN.energies[task][KNOWN.index(z, n)]) == pytest.approx(energy, abs=2e-4)


def test_what_a_decay_gives_its_reverse_takes() -> None:
    argon, potassium = KNOWN.index(18, 22), KNOWN.index(19, 21)
    beta, capture = KNOWN.energies["beta"], KNOWN.energies["capture"]
    assert float(beta[argon] + capture[potassium]) == pytest.approx(0, abs=1e-9)
    before = KNOWN.index(18, 21)
    assert float(KNOWN.energies["neutron"][argon]) == pytest.approx(
        float(KNOWN.binding[argon] - KNOWN.binding[before])
    )


def test_extrapolated_masses_are_left_out() -> None:
    assert len(KNOWN) == 2486
    assert len(HEAVY) == 2388
    assert bool((HEAVY.z > 8).all() and (HEAVY.n > 8).all())
    assert len(nuclei.nuclides(above=-1, uncertainty=100)) == 2361
    with pytest.raises(KeyError, match="no nuclide with 6 protons and 15 neutrons"):
        KNOWN.index(6, 15)  # whose mass the table has with a mark


def test_energies_without_a_known_neighbour_are_nan() -> None:
    assert math.isnan(KNOWN.energies["alpha"][KNOWN.index(1, 0)])
    assert math.isnan(KNOWN.energies["proton"][KNOWN.index(1, 0)])
    assert bool(HEAVY.binding.isfinite().all())


def test_some_nuclides_keep_their_energies() -> None:
    calcium = KNOWN.at(KNOWN.z == 20)
    assert set(calcium.a.tolist()) == set((calcium.n + 20).tolist())
    row = calcium.index(20, 20)
    assert calcium.to_frame().loc[row, "binding"] == pytest.approx(342.052, abs=1e-3)
    assert repr(calcium).startswith("Nuclides(")


def test_the_refit_of_the_formula_is_least_squares_and_leaves_three_mev() -> None:
    found = nuclei.fit_mass_formula(HEAVY)
    assert 3.0 <= found.rms <= 3.15
    z, n = HEAVY.z.numpy().astype(float), HEAVY.n.numpy().astype(float)
    a, even = z + n, (z % 2 == 0).astype(int) + (n % 2 == 0) - 1
    columns = np.stack([a, a ** (2 / 3), z * (z - 1) * a ** (-1 / 3), (n - z) ** 2 / a, even / a**0.5], 1)
    expected = np.linalg.lstsq(columns, HEAVY.binding.numpy(), rcond=None)[0]
    np.testing.assert_allclose(list(found.coefficients.values()), expected, rtol=1e-7)
    np.testing.assert_allclose(found.binding(HEAVY.z, HEAVY.n), columns @ expected, rtol=1e-9)
    assert list(found.coefficients) == list(nuclei.SEMI_EMPIRICAL)


def test_more_terms_leave_less() -> None:
    names = list(nuclei.terms(HEAVY.z, HEAVY.n))
    assert len(names) == 13
    assert nuclei.fit_mass_formula(HEAVY, names).rms < 1.5


def test_shells_are_closed_at_magic_numbers() -> None:
    lead = nuclei.terms(torch.tensor([82, 84]), torch.tensor([126, 129]))
    assert lead["valence"].tolist() == [0, 5]
    assert lead["promiscuity"].tolist() == [0, pytest.approx(6 / 5)]


def test_a_short_training_learns_and_is_the_same_again() -> None:
    first, second = (nuclei.train(HEAVY, recipe=SMALL, generator=3) for _ in range(2))
    assert first.rms() < 0.05 * float(HEAVY.binding.std())
    assert torch.equal(first.predictions(), second.predictions())
    assert not torch.equal(first.trained, nuclei.train(HEAVY, recipe=ONE_STEP, generator=4).trained)
    assert int((~first.trained).sum()) == round(0.1 * len(HEAVY))
    assert first.rms(held_out=True) < 0.2 * float(HEAVY.binding.std())


def test_shuffled_energies_are_not_predicted() -> None:
    run = nuclei.train(HEAVY, recipe=SMALL, shuffled=True)
    assert run.rms(held_out=True) > 0.9 * float(HEAVY.binding.std())


def test_a_readout_and_the_hidden_state_are_the_model() -> None:
    run = nuclei.train(HEAVY, ("binding", "neutron"), nuclei.Recipe(width=16, steps=20))
    model = run.model
    for task in model.tasks:
        z, n = (model.embedding(name)[numbers] for name, numbers in (("z", HEAVY.z), ("n", HEAVY.n)))
        with torch.inference_mode():
            whole = model.from_embeddings(z, n, task)
            number = torch.full_like(HEAVY.z, model.task_number(task))
            scaled = model(HEAVY.z, HEAVY.n, number)
        at = model.task_number(task)
        torch.testing.assert_close(run.predictions(task).float(), whole, rtol=1e-4, atol=1e-2)
        torch.testing.assert_close(scaled * model.spread[at] + model.centre[at], whole)
    assert run.rms("neutron") > 0


def test_numbers_that_training_saw_have_embeddings() -> None:
    run = nuclei.train(HEAVY, recipe=ONE_STEP)
    numbers, rows = run.embedding("n")
    assert set(numbers.tolist()) == set(HEAVY.n[run.trained].tolist())
    assert torch.equal(rows[5], run.model.embedding("n")[numbers[5]])


def test_the_papers_size_is_a_preset() -> None:
    assert (nuclei.PAPER.width, nuclei.PAPER.depth, nuclei.PAPER.decay) == (2048, 2, 0.01)


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "periodictable", None)
    with pytest.raises(ImportError, match=r"pip install 'conceptscope\[nuclei\]'"):
        nuclei.nuclides()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no nuclide has above=300"):
        nuclei.nuclides(above=300)
    with pytest.raises(KeyError, match="no term 'colour': there are volume, surface"):
        nuclei.fit_mass_formula(HEAVY, ["colour"])
    with pytest.raises(ValueError, match="0 terms cannot be fitted"):
        nuclei.fit_mass_formula(HEAVY, [])
    with pytest.raises(ValueError, match=r"tasks must be some of binding, neutron, .*; got \['radius'\]"):
        nuclei.train(HEAVY, ["radius"])
    with pytest.raises(ValueError, match="held_out must be a share"):
        nuclei.train(HEAVY, held_out=1.0)
    run = nuclei.train(HEAVY, recipe=ONE_STEP, held_out=0.0)
    with pytest.raises(ValueError, match="no nuclides were held out"):
        run.rms(held_out=True)
    with pytest.raises(ValueError, match="this model has not learned 'alpha', but binding"):
        run.predictions("alpha")
    with pytest.raises(KeyError, match="no embedding of 'a': there are z, n, task"):
        run.model.embedding("a")
    with pytest.raises(KeyError, match="no numbers of 'task': there are z, n"):
        run.embedding("task")
