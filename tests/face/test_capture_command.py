import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import conceptscope as cs

Run = Callable[..., str]


def test_a_file_is_captured_into_a_folder(
    succeeded: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    out = tmp_path / "acts"
    command = ("capture", "--model", tiny_folder, "--data", csv_file, "--out", str(out))
    said = succeeded(*command, "--sites", "resid_post.0,mlp_out.-1", "--position", "mean")
    assert "60 rows at resid_post.0, mlp_out.2" in said
    found = cs.Activations.open(out)
    expected = cs.capture(
        cs.load_model(tiny_folder),
        cs.Examples.from_csv(csv_file),
        ["resid_post.0", "mlp_out.2"],
        position="mean",
    )
    assert found.labels == expected.labels
    assert found.groups == expected.groups
    for site in expected:
        torch.testing.assert_close(found[site], expected[site])


def test_the_same_command_goes_on_and_another_is_refused(
    succeeded: Run, refused: Run, tiny_folder: str, csv_file: str, tmp_path: Path
) -> None:
    out = tmp_path / "acts"
    command = ("capture", "--model", tiny_folder, "--data", csv_file, "--out", str(out), "--dtype", "bf16")
    succeeded(*command)
    assert cs.Activations.open(out)["resid_post.0"].dtype == torch.bfloat16
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    succeeded(*command)
    assert before
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    assert "position" in refused(*command, "--position", "first")


def test_what_was_finished_before_ctrl_c_is_gone_on_with(
    interrupted: Run, succeeded: Run, tiny_folder: str, tmp_path: Path
) -> None:
    data, out = tmp_path / "long.csv", tmp_path / "acts"
    data.write_text(
        "\n".join(["text,label", *(f"The dog was not happy about rain {n},a" for n in range(1500))])
    )
    command = ("capture", "--model", tiny_folder, "--data", str(data), "--out", str(out))
    manifest = out / "manifest.json"

    def one_is_finished() -> bool:
        return manifest.exists() and bool(json.loads(manifest.read_text())["shards"])

    err = interrupted(one_is_finished, *command)
    assert err == f"Interrupted: what was finished is kept in {out}; the same command goes on from there.\n"
    first = json.loads(manifest.read_text())["shards"][0]
    assert "1500 rows" in succeeded(*command)
    assert json.loads(manifest.read_text())["shards"][0] == first
    assert len(cs.Activations.open(out)["resid_post.0"]) == 1500


@pytest.mark.parametrize("content", ["text,label\n", "text,label\nthe dog,\n", "words\nthe dog\n", ""])
def test_a_file_that_is_refused_leaves_no_folder(
    refused: Run, tiny_folder: str, tmp_path: Path, content: str
) -> None:
    (tmp_path / "bad.csv").write_text(content)
    out = tmp_path / "a" / "b"
    refused("capture", "--model", tiny_folder, "--data", str(tmp_path / "bad.csv"), "--out", str(out))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


@pytest.mark.parametrize(
    ("data", "message"), [("nowhere.csv", "there is no file 'nowhere.csv'"), ("sentimnt", "sentiment")]
)
def test_refuses_data_that_is_not_there(
    refused: Run, tiny_folder: str, tmp_path: Path, data: str, message: str
) -> None:
    out = tmp_path / "acts"
    assert message in refused("capture", "--model", tiny_folder, "--data", data, "--out", str(out))
    assert not out.exists()


def test_texts_in_a_language_that_the_model_does_not_know_are_warned_of(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    data = tmp_path / "german.csv"
    data.write_text("text,label\nder Hund war froh,a\ndie Katze schlief,b\n")
    process = start("capture", "--model", "tinyworld", "--data", str(data), "--out", str(tmp_path / "out"))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert err.startswith(
        "about 100% of the tokens are '<unk>': the tokenizer of tinyworld does not know most"
    )
    assert err.count("\n") == 1
