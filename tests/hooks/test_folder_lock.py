import errno
import threading
import time

import pytest

from conceptscope.hooks import _folder_lock as folder_lock
from conceptscope.hooks._folder_lock import FolderLock, alone


def test_one_process_at_a_time(tmp_path):
    with alone(tmp_path), pytest.raises(ValueError, match=r"another process is writing to .*: wait for it"):
        FolderLock(tmp_path, alone=False)
    with alone(tmp_path):
        pass


def test_others_may_join_and_are_waited_for(tmp_path):
    left = []

    def leave():
        time.sleep(0.1)
        left.append(True)
        joined.release()

    with alone(tmp_path) as lock:
        with lock.shared():
            joined = FolderLock(tmp_path, alone=False)
            with pytest.raises(ValueError, match="another process is writing to"):
                FolderLock(tmp_path, alone=True)
            threading.Thread(target=leave).start()
        assert left
        with pytest.raises(ValueError, match="another process is writing to"):
            FolderLock(tmp_path, alone=False)


def test_one_that_stays_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_lock, "_PATIENCE", 0.05)
    with alone(tmp_path) as lock:
        with pytest.raises(ValueError, match="another process is writing to"), lock.shared():
            joined = FolderLock(tmp_path, alone=False)
        joined.release()


def test_a_file_system_without_locks_is_written_all_the_same(tmp_path, monkeypatch):
    def no_locks(handle, how):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(folder_lock.fcntl, "flock", no_locks)
    with alone(tmp_path) as lock, lock.shared():
        pass


def test_other_errors_are_not_hidden(tmp_path, monkeypatch):
    def broken(handle, how):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(folder_lock.fcntl, "flock", broken)
    with pytest.raises(OSError, match="input/output"), alone(tmp_path):
        pass
