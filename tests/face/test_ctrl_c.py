"""Ctrl-C while modules are imported, and while a command works."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conceptscope._ctrl_c import told, unfinished
from conceptscope._resumable import resumable
from conceptscope._staged import staged

Start = Callable[..., subprocess.Popen[str]]

SLOW = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
try:
    while True: pass
except BaseException:
    raise ImportError("as compiled modules do")
"""


def interrupted_import(tmp_path: Path, program: str) -> tuple[int, str]:
    """What a program says that imports a module whose import is interrupted, and hides that."""
    (tmp_path / "slow_module.py").write_text(SLOW)
    script = f"from conceptscope._ctrl_c import *\nlisten()\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # not ignored, as in the background
    )
    return done.returncode, done.stderr


def left_by(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.iterdir() if path.name not in ("slow_module.py", "__pycache__")]


def test_an_import_that_is_interrupted_ends_at_once(tmp_path: Path) -> None:
    program = "with told():\n    import slow_module"
    assert interrupted_import(tmp_path, program) == (130, "Interrupted: nothing was written.\n")


def test_an_import_in_the_middle_of_the_work_leaves_no_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = f"""
from pathlib import Path
from conceptscope._staged import staged
with told(), staged(Path({str(out)!r})) as stage:
    (stage / "half.txt").write_text("")
    import slow_module
"""
    assert interrupted_import(tmp_path, program) == (130, "Interrupted: nothing was written.\n")
    assert left_by(tmp_path) == []


def test_a_report_that_is_stopped_at_an_import_leaves_no_files(tmp_path: Path) -> None:
    program = f"""
import conceptscope as cs
with told():
    model, data = cs.load_model("tinyworld"), cs.load_examples("tinyworld/sentiment")[:20]
    model.hf.register_forward_pre_hook(lambda *_: __import__("slow_module"))
    cs.report(model, data, {str(tmp_path / "page.html")!r})
"""
    assert interrupted_import(tmp_path, program) == (130, "Interrupted: nothing was written.\n")
    assert left_by(tmp_path) == []


def test_an_import_in_the_middle_of_the_work_says_what_is_kept(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from conceptscope._resumable import resumable
with told(), resumable(Path({str(tmp_path)!r})):
    import slow_module
"""
    code, said = interrupted_import(tmp_path, program)
    assert code == 130
    assert (
        said
        == f"Interrupted: what was finished is kept in {tmp_path}; the same command goes on from there.\n"
    )


def stop() -> None:
    raise KeyboardInterrupt


def test_outside_of_imports_it_is_an_exception_that_ends_with_130(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, told():
        stop()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Interrupted: nothing was written.\n"


def test_what_is_kept_is_said_only_where_it_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kept, said in ((tmp_path, f"is kept in {tmp_path};"), (tmp_path / "none", "nothing was written")):
        with pytest.raises(SystemExit), told(), resumable(kept):
            stop()
        assert said in capsys.readouterr().err


def test_one_that_is_done_says_nothing_afterwards(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with resumable(tmp_path), staged(tmp_path / "out"):
        pass
    with pytest.raises(ValueError, match="an error"), unfinished(lambda: "kept"):
        raise ValueError("an error")
    with pytest.raises(SystemExit), told():
        stop()
    assert capsys.readouterr().err == "Interrupted: nothing was written.\n"


def test_a_command_that_is_stopped_at_its_imports_says_one_line(start: Start) -> None:
    process = start("sites", "--model", "tinyworld")
    libraries = Path(f"/proc/{process.pid}/maps")
    while "libtorch" not in libraries.read_text():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "Interrupted: nothing was written.\n")
