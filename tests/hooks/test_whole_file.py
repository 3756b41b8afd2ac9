from pathlib import Path

import pytest

from conceptscope.hooks._whole_file import whole_file


def test_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "new" / "note.txt"
    for text in ("first", "second"):
        with whole_file(target) as partial:
            partial.write_text(text)
            assert partial.parent == target.parent
            assert partial.name.startswith(".")
        assert target.read_text() == text
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder: give the name of a file"), whole_file(tmp_path):
        pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_leaves_all_as_it_was_after_an_error(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")

    def interrupted() -> None:
        with whole_file(target) as partial:
            partial.write_text("half of")
            raise error

    with pytest.raises(error):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_it_as_they_may_other_files(tmp_path: Path) -> None:
    plain, written = tmp_path / "plain", tmp_path / "written"
    plain.touch()
    with whole_file(written) as partial:
        partial.chmod(0o600)
    assert written.stat().st_mode == plain.stat().st_mode
