from pathlib import Path

import pytest

from conceptscope._staged import staged


def test_files_arrive_when_the_block_ends(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "out"
    with staged(folder) as stage:
        (stage / "deep").mkdir()
        (stage / "deep" / "x.txt").write_text("new")
        assert not folder.exists()
    assert (folder / "deep" / "x.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_was_there_stays_and_same_names_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("kept")
    (tmp_path / "x.txt").write_text("old")
    with staged(tmp_path) as stage:
        (stage / "x.txt").write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "kept.txt": "kept",
        "x.txt": "new",
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_when_the_block_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def interrupted() -> None:
        with staged(tmp_path / "out") as stage:
            (stage / "x.txt").write_text("half")
            raise error

    with pytest.raises(error):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ValueError, match="is a file: give --out a folder"), staged(tmp_path / "out"):
        pass


def test_where_nothing_can_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(folder: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "mkdir", refused)
    message = rf"nothing can be written in {tmp_path} \(Permission denied\): give another --out"
    with pytest.raises(OSError, match=message), staged(tmp_path / "out"):
        pass
