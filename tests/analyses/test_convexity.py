"""Convexity of classes, beside igraph, nnconvexity, permutations and repeated draws."""

import itertools
import weakref

import numpy as np
import pytest
import torch

from conceptscope.analyses import convexity
from conceptscope.analyses._half_samples import half_sample_errors
from conceptscope.analyses._neighbours import nearest, neighbour_graph
from conceptscope.analyses._row_classes import RowClasses
from conceptscope.hooks import Activations, Site, capture, load_examples, load_model
from conceptscope.hooks._stored import StoredActivations

CLASSES = ["air", "earth", "fire", "water"]


def blobs(
    n: int, apart: float, d: int = 12, seed: int = 0, classes: int = 4
) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    code = rng.integers(0, classes, n)
    return torch.from_numpy(rng.normal(size=(n, d)) + apart * np.eye(classes, d)[code]), code


def made(x: torch.Tensor, code: np.ndarray) -> Activations:
    return Activations({"resid_post.0": x}, [CLASSES[c] for c in code])


def scores(acts: Activations, **settings: object) -> np.ndarray:
    found = convexity(acts, **({"ci": None, "null": None, "k": 5} | settings))
    return np.array([one.score for one in found.sites[0].classes])


def by_igraph(x: torch.Tensor, code: np.ndarray, k: int) -> list[float]:
    """The paper's definition, path by path."""
    igraph = pytest.importorskip("igraph")
    distances = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    np.fill_diagonal(distances, np.inf)
    near = distances.argsort(1, kind="stable")[:, :k]
    edges = sorted({tuple(sorted((a, int(b)))) for a in range(len(x)) for b in near[a]})
    graph = igraph.Graph(len(x), edges)
    weights = [distances[edge] for edge in edges]
    found = []
    for number in range(code.max() + 1):
        members = np.flatnonzero(code == number)
        shares = []
        for a in members:
            for path in graph.get_shortest_paths(
                int(a), to=[int(b) for b in members if b != a], weights=weights
            ):
                inner = [code[v] == number for v in path[1:-1]]
                shares.append((1.0 if not inner else float(np.mean(inner))) if path else 0.0)
        found.append(float(np.mean(shares)))
    return found


def test_the_neighbours_are_those_of_scikit_learn():
    from sklearn.neighbors import NearestNeighbors

    x, _ = blobs(300, 1.0)
    far, near = NearestNeighbors(n_neighbors=8).fit(x.numpy()).kneighbors()
    found, distances = nearest(x, 8)
    assert (found == near).all()
    np.testing.assert_allclose(distances, far, rtol=1e-12)


def test_the_neighbours_of_float32_rows_far_from_zero_are_right():
    x, _ = blobs(300, 1.0)
    shifted = (x + 1000).float()
    found, _ = nearest(shifted, 8)
    assert (found == nearest(shifted.double(), 8)[0]).all()


def test_neighbours_are_right_where_float32_products_cannot_tell_rows_apart():
    x, _ = blobs(300, 1.0)
    x = (0.01 * x).float()
    x[::2, 0] += 2000
    found, _ = nearest(x, 8)
    assert (found == nearest(x.double(), 8)[0]).all()


@pytest.mark.parametrize("apart", [0.0, 1.5, 4.0])
def test_every_path_scores_as_igraph_has_it(apart):
    x, code = blobs(150, apart)
    np.testing.assert_allclose(scores(made(x, code)), by_igraph(x, code, 5), rtol=1e-12)


def test_it_is_nnconvexitys_score_where_its_labels_count_from_zero():
    graph = pytest.importorskip("nnconvexity.graph")
    x, code = blobs(80, 1.5)
    _, theirs = graph.compute_graph_convexity(x.numpy(), code, n_neighbors=5, max_n_paths=10**6)
    np.testing.assert_allclose(100 * scores(made(x, code)), [theirs[c] for c in range(4)], atol=0.0051)


def test_names_of_classes_change_nothing():
    x, code = blobs(100, 1.5, classes=2)
    plain = scores(made(x, code))
    renamed = scores(Activations({"resid_post.0": x}, np.where(code == 0, 5, 7).tolist()))
    assert plain.tolist() == renamed.tolist()
    by_argument = scores(made(x, code), labels=[["b", "a"][c] for c in code])
    assert by_argument.tolist() == plain[::-1].tolist()


def test_duplicates_are_joined():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(60, 4)))
    x[:15] = x[0]
    x[30:] += 20
    code = (np.arange(60) >= 30).astype(int)
    assert scores(made(x, code), k=20).tolist() == [1.0, 1.0]
    assert (neighbour_graph(x, 20).data == 0).sum() == 15 * 14


def test_isometries_and_scale_change_nothing_and_stretching_does():
    x, code = blobs(120, 1.5)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0)).double()).Q
    plain = scores(made(x, code))
    assert np.abs(scores(made(3 * x @ turn + 7, code)) - plain).max() <= 1e-9
    assert np.abs(scores(made(x * torch.linspace(0.1, 5, 12), code)) - plain).max() > 0.01


def test_cosine_takes_lengths_away():
    x, code = blobs(120, 1.5)
    lengths = torch.rand(120, 1, generator=torch.Generator().manual_seed(0)).double() + 0.1
    far = scores(made(x * lengths, code), metric="cosine")
    np.testing.assert_allclose(far, scores(made(x, code), metric="cosine"), rtol=1e-12)


def test_chance_is_the_mean_over_permutations():
    x, code = blobs(120, 1.5)
    x[:20] += 100  # a part that no path joins to the rest
    for disconnected in ("zero", "exclude"):
        found = convexity(made(x, code), k=5, ci=None, disconnected=disconnected).sites[0]
        rng = np.random.default_rng(1)
        permuted = [scores(made(x, rng.permutation(code)), disconnected=disconnected) for _ in range(60)]
        assert abs(np.mean(permuted) - found.chance) < 0.01  # 3 standard errors are .006
        chance = [one.chance for one in found.classes]
        np.testing.assert_allclose(np.mean(permuted, 0), chance, atol=0.03)


def test_p_is_small_where_classes_are_regions_and_not_where_labels_are_shuffled():
    x, code = blobs(200, 2.0)
    found = convexity(made(x, code), k=5, ci=None, null="permute", permutations=99).sites[0]
    assert [one.p for one in found.classes] == [0.01] * 4
    assert found.p == 0.01
    rng = np.random.default_rng(0)
    ps = [
        convexity(made(x, rng.permutation(code)), k=5, ci=None, null="permute", permutations=49).sites[0].p
        for _ in range(20)
    ]
    assert 0.2 < np.mean(ps) < 0.8
    assert np.mean(np.array(ps) <= 0.05) <= 0.25


def test_half_samples_give_the_error_of_fresh_draws():
    def draw(seed: int) -> Activations:
        return made(*blobs(300, 2.5, seed=seed, classes=3))

    drawn = [scores(draw(seed)).mean() for seed in range(50)]
    errors = [convexity(draw(seed), k=5, null=None, resamples=20).sites[0].se for seed in range(6)]
    assert 0.8 < np.mean(errors) / np.std(drawn, ddof=1) < 1.25


def words_of_classes(apart: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """24 words of two classes with 8 rows each; rows of a word lie close together."""
    rng = np.random.default_rng(seed)
    word = np.repeat(np.arange(24), 8)
    centres = rng.normal(size=(24, 12)) + apart * np.eye(2, 12)[np.arange(24) % 2]
    return torch.from_numpy(centres[word] + 0.3 * rng.normal(size=(len(word), 12))), word % 2, word


def test_rows_of_a_group_keep_their_label_together():
    settings = {"null": "permute", "permutations": 39, "ci": None, "k": 12}
    alone, grouped = [], []
    for seed in range(8):
        x, code, word = words_of_classes(0.0, seed)
        labels = [CLASSES[c] for c in code]
        alone.append(convexity(Activations({"embed": x}, labels), **settings).sites[0].p)
        own = convexity(Activations({"embed": x}, labels, groups=word.tolist()), **settings).sites[0]
        grouped.append(own.p)
        assert own.chance > 0.25
    assert np.mean(alone) < 0.1  # rows of a word are no evidence of their own
    assert np.mean(grouped) > 0.2
    x, code, word = words_of_classes(3.0)
    apart = Activations({"embed": x}, [CLASSES[c] for c in code], groups=word.tolist())
    assert convexity(apart, **settings).sites[0].p == 1 / 40


def test_the_error_of_groups_is_that_of_so_many_rows():
    x, code, word = words_of_classes(0.5)
    labels = [CLASSES[c] for c in code]

    def predict(rows: torch.Tensor) -> list[str]:
        return [CLASSES[c] for c in rows[:, :2].argmax(1).tolist()]

    settings = {"kind": "euclidean", "predict": predict}
    rows = convexity(Activations({"embed": x}, labels), **settings).sites[0].se
    groups = convexity(Activations({"embed": x}, labels, groups=word.tolist()), **settings).sites[0].se
    assert groups > 1.3 * rows


def test_labels_that_vary_within_groups_are_shuffled_there_and_others_among_groups():
    codes, pairs = np.array([0, 1, 1, 0, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    rng = np.random.default_rng(0)
    for shuffled in (RowClasses(codes, ("a", "b"), pairs).shuffled(rng) for _ in range(20)):
        assert all(set(shuffled[pairs == group]) == {0, 1} for group in range(3))
    words, of_word = np.array([2, 0, 1, 0, 2, 1]), np.array([0, 1, 1])
    drawn = {tuple(RowClasses(of_word[words], ("a", "b"), words).shuffled(rng)) for _ in range(60)}
    assert drawn == {tuple(np.array(one)[words]) for one in {(0, 1, 1), (1, 0, 1), (1, 1, 0)}}


def test_halves_have_half_the_groups_of_each_class():
    _, code, word = words_of_classes(1.0)
    rows = RowClasses(code, ("a", "b"), word)
    half = rows.half(np.random.default_rng(0))
    assert [len(set(word[half][code[half] == c])) for c in range(2)] == [6, 6]
    assert len(half) == 96
    assert rows.half_stretch.tolist() == [1.0, 1.0]
    odd = RowClasses(np.array([0] * 5 + [1] * 4), ("a", "b"), np.arange(9))
    np.testing.assert_allclose(odd.half_stretch, [np.sqrt(2 / 3), 1.0])


def test_the_spread_of_stretched_halves_is_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=5)
    rows = RowClasses(np.zeros(5, int), ("a",), np.arange(5))
    errors = half_sample_errors(rows, lambda part: [values[part].mean()], 4000, np.random.default_rng(1))
    assert abs(errors.mean / (values.std(ddof=1) / np.sqrt(5)) - 1) < 0.03


def test_a_class_without_joined_pairs_has_no_score_and_no_p():
    x = torch.cat([torch.randn(30, 3), 100 + torch.randn(30, 3)]).double()
    labels = [*["main"] * 29, "split", *["main"] * 29, "split"]
    found = convexity(
        Activations({"embed": x}, labels), k=3, disconnected="exclude", null="permute", ci=None
    ).sites[0]
    assert [one.label for one in found.classes if np.isnan(one.score)] == ["split"]
    assert np.isnan(found.classes[1].p)
    assert not np.isnan(found.pooled)


def test_workers_and_other_sites_change_no_number():
    x, code = blobs(120, 1.5)
    acts = Activations({f"resid_post.{i}": x[:, i:] for i in range(3)}, [CLASSES[c] for c in code])
    settings = {"k": 5, "null": "permute", "permutations": 9, "resamples": 4, "sources_per_class": 10}
    alone = convexity(acts, workers=1, **settings)
    assert alone.to_frame().equals(convexity(acts, workers=2, **settings).to_frame())
    one = Activations({"resid_post.1": acts["resid_post.1"]}, acts.labels)
    assert convexity(one, **settings).sites[0] == alone["resid_post.1"]


def test_a_store_is_read_a_site_at_a_time(tmp_path, monkeypatch):
    model, data = load_model("tinyworld"), load_examples("tinyworld/sentiment")[:80]
    capture(model, data, "resid_post", store=tmp_path / "store")
    stored = Activations.open(tmp_path / "store")
    held: list[weakref.ref[torch.Tensor]] = []
    alive = []
    at = StoredActivations.at

    def watched(self: Activations, site: Site) -> torch.Tensor:
        alive.append(sum(one() is not None for one in held))
        tensor = at(self, site).clone()
        held.append(weakref.ref(tensor))
        return tensor

    monkeypatch.setattr(StoredActivations, "at", watched)
    found = convexity(stored, resamples=2, k=5)
    assert len(alive) >= model.n_layers
    assert max(alive) <= 1
    monkeypatch.undo()
    assert found.to_frame().equals(convexity(capture(model, data), resamples=2, k=5).to_frame())


def test_fewer_sources_estimate_the_same_score():
    x, code = blobs(400, 1.5)
    full, part = scores(made(x, code)), scores(made(x, code), sources_per_class=60)
    assert np.abs(full - part).max() < 0.05
    assert np.abs(full - part).max() > 0


def test_regions_of_a_linear_argmax_are_convex():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(300, 6)))
    heads = torch.from_numpy(rng.normal(size=(6, 4)))

    def predict(rows: torch.Tensor) -> list[str]:
        return [CLASSES[c] for c in (rows @ heads).argmax(1).tolist()]

    found = convexity(Activations({"embed": x}, predict(x)), kind="euclidean", predict=predict, pairs=200)
    assert [one.score for one in found.sites[0].classes] == [1.0] * 4
    assert found.sites[0].classes[0].chance is None
    assert found.sites[0].se == 0


def test_a_ring_around_a_class_is_not_convex():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 200)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    x = torch.from_numpy(np.concatenate([rng.normal(size=(200, 2)) * 0.1, 3 * ring]))
    acts = Activations({"embed": x}, ["inner"] * 200 + ["ring"] * 200)

    def predict(rows: torch.Tensor) -> np.ndarray:
        return np.where(rows.norm(dim=1).numpy() < 1.5, "inner", "ring")

    inner, ring_score = (
        one.score for one in convexity(acts, kind="euclidean", predict=predict).sites[0].classes
    )
    assert inner == 1.0
    assert 0.4 < ring_score < 0.9


def test_a_head_is_fitted_where_none_is_given():
    x, code = blobs(200, 4.0)
    found = convexity(made(x, code), kind="euclidean")
    assert min(one.score for one in found.sites[0].classes) > 0.9


def test_segments_are_drawn_once_each():
    from conceptscope.analyses._euclidean_convexity import _pairs

    members = np.array([2, 3, 5, 7, 11])
    every = list(zip(*_pairs(members, 100, np.random.default_rng(0)), strict=True))
    assert sorted(every) == sorted(itertools.combinations(members, 2))
    some = list(zip(*_pairs(members, 4, np.random.default_rng(0)), strict=True))
    assert len(set(some)) == 4


def test_the_frame_and_the_picture_have_every_class_and_chance():
    x, code = blobs(100, 2.0)
    acts = Activations({"resid_post.0": x, "resid_post.1": x[:, :3]}, [CLASSES[c] for c in code])
    found = convexity(acts, k=5, resamples=3)
    frame = found.to_frame()
    assert list(frame.index.names) == ["site", "class"]
    assert {"score", "chance", "p", "se", "strict", "direct", "disconnected"} <= set(frame.columns)
    assert len(frame) == 8
    assert found["resid_post.1"].classes[0].label == "air"
    assert "resid_post" in repr(found)
    labels = found.plot().get_legend_handles_labels()[1]
    assert {"chance", "mean of classes", *CLASSES} == set(labels)


def test_the_same_seed_gives_the_same_result():
    acts = made(*blobs(100, 1.5))
    settings = {"k": 5, "null": "permute", "permutations": 20, "resamples": 4, "sources_per_class": 10}
    one, two = (convexity(acts, **settings).to_frame() for _ in range(2))
    assert one.equals(two)
    assert not one.equals(convexity(acts, **settings, generator=1).to_frame())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "oval"}, "kind must be one of 'graph', 'euclidean'; got 'oval'"),
        ({"metric": "l1"}, "metric must be one of"),
        ({"null": "none"}, "null must be one of"),
        ({"ci": "bootstrap"}, "ci must be one of"),
        ({"disconnected": "one"}, "disconnected must be one of"),
        ({"k": 0}, "k must be a whole number, 1 or more; got 0"),
        ({"sources_per_class": 0}, "sources_per_class must be a whole number"),
        ({"workers": 0}, "workers must be a positive whole number or None, got 0"),
        ({"k": 60}, r"more than the \d+ rows in each half"),
        ({"labels": ["one"] * 100}, "all labels are 'one'"),
        ({"labels": ["one", *["two"] * 99]}, "the class 'one' has 1 row, and convexity needs 2"),
        ({"labels": ["one"] * 3 + ["two"] * 97}, "and halves need 4"),
    ],
)
def test_what_cannot_be_done_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        convexity(made(*blobs(100, 1.0)), **settings)


def test_texts_are_no_activations():
    with pytest.raises(TypeError, match="as capture gives them, got list: write capture"):
        convexity(["a text"])


def test_bad_rows_and_predictions_are_refused():
    x, code = blobs(100, 1.0)
    x[3, 2] = float("nan")
    with pytest.raises(ValueError, match=r"1 of 100 rows at resid_post.0 .* the first is row 3"):
        convexity(made(x, code))
    x[3] = 0
    with pytest.raises(ValueError, match=r"row 3 at resid_post.0 is zero"):
        convexity(made(x, code), metric="cosine")
    with pytest.raises(ValueError, match="one label a row"):
        convexity(made(x, code), kind="euclidean", predict=lambda rows: ["air"])
    with pytest.raises(KeyError, match="no convexity at embed"):
        convexity(made(x, code), ci=None)["embed"]
