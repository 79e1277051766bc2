"""What a builder left that died goes at once; what one builds that lives stays."""

import os
import signal
from threading import Event, Thread

import pytest

from recobatch.errors import RecobatchError
from recobatch.storage import scratch
from recobatch.storage.folder_lock import try_lock
from recobatch.storage.scratch import resumable_folder, scratch_folder, sweep


def test_a_folder_stays_for_as_long_as_its_builder_lives(tmp_path):
    with scratch_folder(tmp_path, "train-explicit_mf") as folder:
        assert sweep(tmp_path) == []
        assert folder.is_dir()
    assert sweep(tmp_path) == [folder]
    assert not folder.exists()


def test_what_a_killed_builder_left_is_swept(tmp_path):
    read, write = os.pipe()
    if (child := os.fork()) == 0:  # pragma: no cover - in the child
        with scratch_folder(tmp_path, "ingest") as folder:
            (folder / "half").write_text("...")
            os.write(write, b"!")
            signal.pause()
    os.read(read, 1)
    assert sweep(tmp_path) == []
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(sweep(tmp_path)) == 1
    assert list(tmp_path.iterdir()) == []


def test_folders_of_others_are_left_alone(tmp_path):
    for name in (".npm-cache", ".git", ".cache-0123", "ingest-0123456789ab"):
        (tmp_path / name).mkdir()
    (tmp_path / ".notes-0123456789ab").write_text("a file")
    assert sweep(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 5
    assert sweep(tmp_path / "missing") == []


def test_builders_and_a_sweeper_at_once(tmp_path):
    done = Event()

    def keep_sweeping():
        while not done.is_set():
            sweep(tmp_path)

    sweeper = Thread(target=keep_sweeping)
    sweeper.start()
    try:
        for number in range(300):
            with scratch_folder(tmp_path, "split") as folder:
                (folder / "part").write_text(str(number))
                assert (folder / "part").read_text() == str(number)
    finally:
        done.set()
        sweeper.join()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_builder_of_the_same_finds_what_was_left_and_one_of_another_removes_it(tmp_path):
    with resumable_folder(tmp_path, "export", "a" * 64) as first:
        (first / "half").write_text("...")
    with resumable_folder(tmp_path, "export", "a" * 64) as folder:
        assert folder == first
        assert (folder / "half").read_text() == "..."
    with resumable_folder(tmp_path, "other", "b" * 64):
        assert first.is_dir()
    with resumable_folder(tmp_path, "export", "b" * 64) as folder:
        assert list(folder.iterdir()) == []
        assert not first.exists()


def test_two_builders_of_the_same_do_not_meet(tmp_path):
    with resumable_folder(tmp_path, "export", "a" * 64):
        with (
            pytest.raises(RecobatchError, match="found that another process writes the same"),
            resumable_folder(tmp_path, "export", "a" * 64),
        ):
            pass
        with resumable_folder(tmp_path, "export", "b" * 64):  # leaves the living one alone
            pass
        assert len(list(tmp_path.iterdir())) == 2


def test_without_locks_nobody_resumes(tmp_path, monkeypatch):
    def no_locks(_folder):
        raise OSError

    monkeypatch.setattr(scratch, "try_lock", no_locks)
    with (
        resumable_folder(tmp_path, "export", "a" * 64) as first,
        resumable_folder(tmp_path, "export", "a" * 64) as second,
    ):
        assert first != second
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_anew_meanwhile_is_not_taken_for_the_locked_one(tmp_path, monkeypatch):
    folder, real = tmp_path / "folder", os.open
    folder.mkdir()

    def open_then_replaced(path, flags):
        handle = real(path, flags)
        folder.rename(tmp_path / "removed")
        folder.mkdir()
        return handle

    monkeypatch.setattr(os, "open", open_then_replaced)
    assert try_lock(folder) is None
