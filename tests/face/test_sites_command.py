from collections.abc import Callable
from pathlib import Path

import conceptscope as cs

Run = Callable[..., str]


def test_every_kind_that_the_model_has(succeeded: Run, tiny_folder: str) -> None:
    said = succeeded("sites", "--model", tiny_folder)
    assert "3 layers of width 32, 4 heads" in said
    model = cs.load_model(tiny_folder)
    for kind in ("embed", "resid_post", "mlp_out", "z"):
        assert str(model.sites(kind)[0]) in said
        assert str(model.sites(kind)[-1]) in said


def test_kinds_that_the_model_lacks_are_left_out(succeeded: Run, save: Callable[..., Path]) -> None:
    assert "resid_mid" not in succeeded("sites", "--model", str(save("gpt_neox", use_parallel_residual=True)))


def test_a_folder_without_a_model(refused: Run, tmp_path: Path) -> None:
    assert str(tmp_path) in refused("sites", "--model", str(tmp_path))
