from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conceptscope.hooks import Activations, Where, capture, generate, intervene, load_model
from conceptscope.probes import ConceptMap, SteeringMatrix
from conceptscope.worlds.steering import topic_questions


def fitted(own: bool = False, d: int = 16, n: int = 40, **source: Any) -> tuple[ConceptMap, Activations]:
    world = topic_questions(n, mix=0.5, d=d, context=5, topics=3)
    acts = Activations(
        {"resid_post.1": world.x},
        world.labels,
        groups=world.questions,
        contexts=None if own else world.contexts,
        source=source,
    )
    return SteeringMatrix().fit(acts), acts


def made(**changes: Any) -> ConceptMap:
    parts = {
        "matrix": torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]),
        "spread": torch.diag(torch.tensor([1.0, 2.0, 3.0])),
        "middle": torch.tensor([1.0, 1.0, 1.0]),
        "mean": torch.zeros(3),
        "classes": ("bad", "good"),
        "site": "resid_post.1",
        "name": "good",
        "model_name": "tiny",
    }
    return ConceptMap(**(parts | changes))


def where(examples: list[int]) -> Where:
    example = torch.tensor(examples)
    return Where(example, torch.zeros_like(example), torch.zeros_like(example))


@pytest.mark.parametrize("d", [16, 200])
def test_reads_in_standard_deviations_of_the_fit_data_from_the_middle(d: int) -> None:
    concept_map, acts = fitted(d=d)
    x, context = acts["resid_post.1"], acts.contexts[3]
    concept = concept_map.at(context)
    torch.testing.assert_close(concept.reading[0], concept_map.direction(context))
    torch.testing.assert_close(concept.steering, concept.reading)
    torch.testing.assert_close(concept.reading.norm(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(concept.read(x).std(0), torch.ones(1, dtype=torch.float64))
    true = torch.tensor([label == "true" for label in acts.labels])
    middle = (x[true].mean(0) + x[~true].mean(0)) / 2
    assert concept.read(middle).abs() < 1e-9
    assert concept.classes == ("false", "true")
    torch.testing.assert_close(concept.mean, x.mean(0))
    assert concept_map.spread.shape[0] == min(d, len(x))


def test_directions() -> None:
    concept_map = made()
    torch.testing.assert_close(concept_map.direction([3.0, 2.0]), torch.tensor([0.6, 0.8, 0.0]))
    many = concept_map.direction(np.array([[3.0, 2.0], [-30.0, -20.0], [0.0, 1.0]]))
    torch.testing.assert_close(many[0], -many[1])
    assert many[2].tolist() == [0, 1, 0]
    assert concept_map.direction(torch.ones(4, 5, 2)).shape == (4, 5, 3)
    assert concept_map.at([3.0, 2.0]).scale[0] == pytest.approx(np.hypot(0.6, 1.6))
    assert concept_map.at([3.0, 2.0]).offset[0] == pytest.approx(1.4)


def test_adds_along_the_direction_of_each_example() -> None:
    concept_map, acts = fitted()
    x, contexts = acts["resid_post.1"][:6], acts.contexts[:12:2]
    examples = [5, 0, 0, 3, 1, 5]
    edited = concept_map.add(1.5, contexts=contexts).edit(x.clone(), where(examples))
    for row, example in enumerate(examples):
        concept = concept_map.at(contexts[example])
        torch.testing.assert_close(
            concept.read(edited[row]) - concept.read(x[row]), torch.tensor([1.5]).double()
        )
        torch.testing.assert_close(edited[row], concept.add(1.5).edit(x[[row]], where([0]))[0])
        torch.testing.assert_close((edited - x)[row].norm(), 1.5 * concept.scale[0])


def test_adds_along_the_direction_of_the_row_itself() -> None:
    concept_map, acts = fitted(own=True)
    x = acts["resid_post.1"][:4].clone()
    x[2] = 0
    edited = concept_map.add(-2.0).edit(x.clone(), where([0, 0, 0, 0]))
    for row in (0, 1, 3):
        torch.testing.assert_close(
            edited[row], concept_map.at(x[row]).add(-2.0).edit(x[[row]], where([0]))[0]
        )
    torch.testing.assert_close(edited[2], x[2])
    given = concept_map.add(-2.0, contexts=x[:2]).edit(x[:2].clone(), where([0, 1]))
    torch.testing.assert_close(given, edited[:2])
    half = concept_map.add(-2.0).edit(x.bfloat16(), where([0, 0, 0, 0]))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), edited, atol=0.05, rtol=0.02)


def test_acts_on_all_heads_at_once() -> None:
    x = torch.randn(8, 2, 3, generator=torch.Generator().manual_seed(0))
    acts = Activations({"z.0": x}, ["a", "b"] * 4, pairs=[0, 0, 1, 1, 2, 2, 3, 3])
    edited = SteeringMatrix().fit(acts).add(1.0).edit(x.clone(), where([0] * 8))
    assert edited.shape == x.shape
    assert not torch.allclose(edited, x)


def test_in_a_model_each_text_gets_its_own_context() -> None:
    model = load_model("tinyworld")
    texts = ["the dog is happy. it", "the small red cat near the awful cars was not nice. it", "anna will"]
    site, contexts = "resid_post.1", torch.eye(3)
    concept_map = ConceptMap(
        torch.randn(model.d_model, 3, generator=torch.Generator().manual_seed(0)),
        torch.eye(model.d_model),
        torch.zeros(model.d_model),
        torch.zeros(model.d_model),
        site=site,
        model_name=model.name,
    )
    before = capture(model, texts, site)[site]
    with intervene(model, concept_map.add(3.0, contexts=contexts)):
        after = capture(model, texts, site, batch_size=2)[site]
        generated = generate(model, texts, max_new_tokens=5)
    torch.testing.assert_close(after - before, 3 * concept_map.direction(contexts), atol=1e-4, rtol=1e-4)
    for row, text in enumerate(texts):
        with intervene(model, concept_map.at(contexts[row]).add(3.0)):
            assert generate(model, [text], max_new_tokens=5) == [generated[row]]
    with (
        pytest.raises(ValueError, match="example 2 has no context: 2 contexts were given"),
        intervene(model, concept_map.add(3.0, contexts=contexts[:2], positions="last|generated")),
    ):
        capture(model, texts, site)


@pytest.mark.parametrize("rule", ["all", "last|generated"])
@pytest.mark.parametrize("own", [False, True])
def test_it_does_what_a_raw_hook_does(
    own: bool, rule: str, tiny: Any, acts_like: Callable[..., None], sentences: list[str]
) -> None:
    model, rng = tiny("llama"), torch.Generator().manual_seed(0)
    matrix = torch.randn(32, 32 if own else 5, generator=rng)
    contexts = torch.randn(4, 5, generator=rng)
    concept_map = made(
        matrix=matrix,
        spread=torch.eye(32),
        middle=torch.zeros(32),
        mean=torch.zeros(32),
        model_name=model.name,
        own_contexts=own,
    )

    def edit(hidden: torch.Tensor, row: int, n: int) -> torch.Tensor:
        first = 0 if rule == "all" else n - 1
        along = hidden[first:] @ matrix.T if own else matrix @ contexts[row]
        hidden[first:] += 4 * torch.nn.functional.normalize(along, dim=-1)
        return hidden

    given = concept_map.add(4.0, contexts=None if own else contexts, positions=rule)
    acts_like(model, given, "model.layers.1", edit, sentences[:4])


def test_a_model_refuses_a_map_of_another() -> None:
    model = load_model("tinyworld")
    intervention = made().add(1.0, contexts=torch.eye(2))
    with pytest.raises(ValueError, match="made from a concept of 'tiny'"), intervene(model, intervention):
        pass
    forced = made().add(1.0, contexts=torch.eye(2), force=True)
    with (
        pytest.raises(ValueError, match=r"'good', resid_post.1, .* has width 3, it cannot act"),
        intervene(model, forced),
    ):
        capture(model, ["the dog"], "resid_post.1")


def test_refuses_contexts_that_do_not_fit() -> None:
    concept_map = made()
    for use in (concept_map.direction, concept_map.at, lambda c: concept_map.add(1.0, contexts=c)):
        for context in (torch.ones(4, 3), torch.ones(())):
            with pytest.raises(ValueError, match="takes contexts of width 2, got shape"):
                use(context)
        with pytest.raises(ValueError, match="NaN or infinite"):
            use([1.0, float("inf")])
        with pytest.raises(ValueError, match="give texts as embeddings"):
            use("so good")
        with pytest.raises(ValueError, match=r"no direction for 1 of the contexts: .* \(M c is zero\)"):
            use(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    rank_one = made(matrix=torch.tensor([[0.1, 0.3], [0.2, 0.6], [0.7, 2.1]]))
    with pytest.raises(ValueError, match="no direction for 1 of the contexts"):
        rank_one.direction([3.0, -1.0])
    with pytest.raises(ValueError, match="made for one context, got"):
        concept_map.at(torch.eye(2))
    with pytest.raises(ValueError, match=r"must be \(example, 2\), one for each text, got \(2,\): for one"):
        concept_map.add(1.0, contexts=[1.0, 0.0])
    with pytest.raises(ValueError, match=r"was fitted on given contexts: give contexts=, one of width 2"):
        concept_map.add(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"matrix": torch.ones(3)}, r"matrix must be floats of shape \(d, context\)"),
        ({"matrix": torch.ones(3, 2, dtype=torch.int64)}, "matrix must be floats"),
        ({"spread": torch.ones(2, 4)}, r"spread must have shape \(2, 3\), got \(2, 4\)"),
        ({"middle": torch.ones(1)}, r"middle must have shape \(3,\), got \(1,\)"),
        ({"mean": torch.tensor([1.0, 2.0, float("nan")])}, "mean has entries that are not finite"),
        ({"own_contexts": True}, "contexts of its own have width 3"),
        ({"site": "resid_pst.1"}, "did you mean 'resid_post.1'"),
    ],
)
def test_refuses_parts_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**changes)


def test_shows_itself_and_moves() -> None:
    concept_map = made(method="by hand", source={"n_questions": 7})
    assert repr(concept_map) == "ConceptMap('good', resid_post.1, (3, 2), by hand, tiny)"
    intervention = concept_map.add(2.0, contexts=torch.eye(2))
    assert repr(intervention) == "Intervention('good: add 2.0', 'resid_post.1', positions='all')"
    html = concept_map._repr_html_()
    for cell in ("<th>contexts</th><td>given", "<th>questions</th><td>7", "<th>classes</th><td>bad, good"):
        assert cell in html
    assert concept_map.to(torch.float64).direction([1, 1]).dtype == torch.float64
    assert concept_map != made()


def test_saved_and_loaded(tmp_path: Path) -> None:
    concept_map, acts = fitted(model_name="tiny", position="last")
    concept_map.save(tmp_path / "map.safetensors")
    loaded = ConceptMap.load(tmp_path / "map.safetensors")
    for part in ("matrix", "spread", "middle", "mean"):
        torch.testing.assert_close(getattr(loaded, part), getattr(concept_map, part), rtol=0, atol=0)
    for part in ("classes", "site", "position", "name", "method", "model_name", "own_contexts", "source"):
        assert getattr(loaded, part) == getattr(concept_map, part)
    torch.testing.assert_close(loaded.direction(acts.contexts), concept_map.direction(acts.contexts))


def test_refuses_files_that_hold_no_map(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "map.safetensors"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        ConceptMap.load(path)
    fitted()[1].save(path)
    with pytest.raises(ValueError, match="holds no concept map: it says it is 'activations'"):
        ConceptMap.load(path)
    made().save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short or no safetensors file"):
        ConceptMap.load(path)
    for version, message in (("2", "version 2 of the concept map format"), ("1", "it lacks spread, middle")):
        save_file(
            {"matrix": torch.ones(1, 2)}, path, {"kind": "concept map", "version": version, "about": "{}"}
        )
        with pytest.raises(ValueError, match=message):
            ConceptMap.load(path)
    with pytest.raises(TypeError, match="only numbers and text can be saved"):
        made(source={"n": object()}).save(path)
