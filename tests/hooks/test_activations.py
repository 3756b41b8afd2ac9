import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conceptscope.hooks import Activations, Site


def made(n: int = 5, **parts: object) -> Activations:
    rng = torch.Generator().manual_seed(0)
    tensors = {
        "resid_post.1": torch.randn(n, 3, generator=rng),
        "embed": torch.randn(n, 2, generator=rng),
        "z.0": torch.randn(n, 2, 4, generator=rng),
    }
    return Activations(tensors, [f"label {row % 2}" for row in range(n)], **parts)


def assert_same(a: Activations, b: Activations) -> None:
    assert set(a) == set(b)
    for site in a:
        torch.testing.assert_close(a[site], b[site], rtol=0, atol=0)
    for part in ("labels", "groups", "pairs", "source"):
        assert getattr(a, part) == getattr(b, part)
    assert a.example.tolist() == b.example.tolist()
    assert (a.position is None) == (b.position is None)
    assert a.position is None or b.position is None or a.position.tolist() == b.position.tolist()


def test_is_a_mapping_of_sites() -> None:
    acts = made()
    assert len(acts) == 3
    assert list(acts) == [Site("resid_post", 1), Site("embed"), Site("z", 0)]
    assert acts.sites == [Site("embed"), Site("z", 0), Site("resid_post", 1)]
    assert acts["resid_post.1"] is acts[Site("resid_post", 1)] is acts["blocks.1.hook_resid_post"]
    assert "resid_post.1" in acts
    assert "resid_post.2" not in acts
    assert "resid_pst.1" not in acts
    assert acts.n_rows == 5


def test_heads_and_negative_layers() -> None:
    acts = made(source={"n_layers": 2})
    torch.testing.assert_close(acts["z.0.1"], acts["z.0"][:, 1])
    assert acts["resid_post.-1"] is acts["resid_post.1"]
    assert acts.key("resid_post.-1") == Site("resid_post", 1)
    assert "resid_post.-3" not in acts
    assert "resid_post.-1" not in made()


@pytest.mark.parametrize(
    "index", [slice(1, 4), slice(None, None, -1), [4, 0], np.array([1, 0, 0, 1, 1], bool), torch.tensor([2])]
)
def test_rows_keep_what_is_known(index: object) -> None:
    acts = made(groups=list("aabbc"), pairs=[0, 0, 1, 1, 2], contexts=np.eye(5), position=[7, 8, 9, 1, 2])
    rows = np.arange(5)[np.asarray(index) if not isinstance(index, slice) else index].copy()
    some = acts[index]
    assert some.example.tolist() == rows.tolist()
    assert some.labels == [acts.labels[row] for row in rows]
    assert some.groups == ["aabbc"[row] for row in rows]
    assert some.position.tolist() == acts.position[torch.as_tensor(rows)].tolist()
    assert some.contexts.shape == (len(rows), 5)
    for site in acts:
        torch.testing.assert_close(some[site], acts[site][torch.as_tensor(rows)])


def test_a_text_is_a_group_where_rows_are_tokens() -> None:
    acts = made(example=[0, 0, 1, 1, 1], position=[0, 1, 0, 1, 2])
    assert acts.groups == [0, 0, 1, 1, 1]
    assert made(example=[0, 0, 1, 1, 1], groups=list("aaabb")).groups == list("aaabb")
    assert made().groups is None


def test_numpy_comes_in_and_torch_goes_out() -> None:
    acts = Activations({"embed": np.ones((2, 3))})
    assert acts["embed"].dtype == torch.float64
    assert acts.to(torch.float16)["embed"].dtype == torch.float16
    assert acts["embed"].dtype == torch.float64


def test_other_labels_and_other_tensors() -> None:
    acts = made(pairs=[0, 0, 1, 1, 2], source={"model_name": "m"})
    assert acts.with_labels([1, 2, 3, 4, 5]).labels == [1, 2, 3, 4, 5]
    other = acts.with_tensors({"embed": torch.zeros(5, 9)})
    assert (other.pairs, other.source, other.sites) == (acts.pairs, acts.source, [Site("embed")])


@pytest.mark.parametrize("suffix", ["acts.safetensors", "folder/acts"])
def test_saved_and_opened(tmp_path: Path, suffix: str) -> None:
    source = {"model_name": "m", "n_layers": 2, "position": re.compile("a|b", re.IGNORECASE)}
    acts = made(groups=list("aabbc"), pairs=[0, 0, 1, None, 2], position=[1, 2, 3, 4, 5], source=source)
    acts.save(tmp_path / suffix)
    assert_same(Activations.open(tmp_path / suffix), acts)
    part = acts[1:3]
    part.save(tmp_path / suffix)
    assert_same(Activations.open(tmp_path / suffix), part)
    assert [path.name for path in (tmp_path / suffix).parent.iterdir() if path.is_file()] == [
        Path(suffix).name
    ]


def test_saves_views_of_one_tensor_and_context_tensors(tmp_path: Path) -> None:
    whole = torch.randn(4, 6)
    acts = Activations({"resid_pre.1": whole[:, :3], "resid_post.0": whole[:, :3]}, contexts=torch.eye(4))
    acts.save(tmp_path / "a")
    opened = Activations.open(tmp_path / "a")
    assert_same(opened, acts)
    assert opened.contexts.tolist() == torch.eye(4).tolist()


def test_opened_tensors_stay_on_disk(tmp_path: Path, memory_growth: Callable[..., int]) -> None:
    Activations({"embed": torch.zeros(8 * 1024, 2048)}).save(tmp_path / "a")
    opened = "import sys\nfrom conceptscope.hooks import Activations"
    read = 'acts = Activations.open(sys.argv[1])\nassert acts["embed"][3:5].sum() == 0'
    assert memory_growth(opened, read, tmp_path / "a") < 32 << 20  # of 64 MB


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    acts = made()
    acts.save(tmp_path / "a")
    with pytest.raises(TypeError, match="only numbers and text can be saved"):
        acts.with_labels([object()] * 5).save(tmp_path / "a")
    assert_same(Activations.open(tmp_path / "a"), acts)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_refuses_files_cut_short(tmp_path: Path, keep: int) -> None:
    made().save(tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:keep])
    with pytest.raises(ValueError, match="cut short or no safetensors file"):
        Activations.open(tmp_path / "a")


def test_refuses_other_files(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(FileNotFoundError, match="there is no file"):
        Activations.open(tmp_path / "a")
    save_file({"x": torch.zeros(1)}, tmp_path / "a")
    with pytest.raises(ValueError, match="holds no activations: it does not say what it is"):
        Activations.open(tmp_path / "a")
    save_file({"x": torch.zeros(1)}, tmp_path / "a", {"kind": "activations", "version": "99"})
    with pytest.raises(ValueError, match=r"version 99 .* reads version 1"):
        Activations.open(tmp_path / "a")
    torch.save({"x": 1}, tmp_path / "a")
    with pytest.raises(ValueError, match="cut short or no safetensors file"):
        Activations.open(tmp_path / "a")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Activations({}), ValueError, "at least one site"),
        (lambda: Activations({"embed": torch.zeros(3)}), ValueError, r"must be \(example, d\)"),
        (lambda: Activations({"embed": torch.zeros(3, 1, dtype=torch.int64)}), TypeError, "must be floats"),
        (
            lambda: Activations({"embed": torch.zeros(3, 1), "z.0": torch.zeros(2, 1)}),
            ValueError,
            "the same number of rows",
        ),
        (lambda: made().with_labels(["a"]), ValueError, "1 labels for 5 rows"),
        (lambda: made(groups=[1]), ValueError, "1 groups for 5 rows"),
        (lambda: made(example=[1]), ValueError, r"example has shape \(1,\) for 5 rows"),
        (lambda: made()["mlp_out.1"], KeyError, "not captured: captured were embed, z.0, resid_post.1"),
        (lambda: made()["resid_pst.1"], KeyError, "did you mean 'resid_post.1'"),
        (lambda: made()[0], TypeError, r"write \[0:1\]"),
    ],
)
def test_refuses(make: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()  # type: ignore[operator]


def test_shows_itself_briefly() -> None:
    assert repr(made()) == "Activations(5 rows, embed (2), z.0 (2, 4), resid_post.1 (3), labels of 2 classes)"
    many = Activations({f"resid_post.{layer}": torch.zeros(1, 2) for layer in range(12)})
    assert repr(many) == "Activations(1 row, resid_post.0 (2), ..., resid_post.11 (2), 12 sites)"
    assert "<td>resid_post.1</td><td>(5, 3)</td><td>float32</td>" in made()._repr_html_()
