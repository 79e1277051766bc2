"""What a builder left that died goes at once; what one builds that lives stays."""

import os
import signal
from threading import Event, Thread

from recobatch.storage.scratch import scratch_folder, sweep


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
