"""Of processes that need the same thing, one initializes it."""

import subprocess
import sys
import threading

from recobatch.storage.initialize import lock_to_initialize


def test_one_initializes_and_the_others_wait_for_it(tmp_path):
    done = tmp_path / "done"
    first = lock_to_initialize(tmp_path / "new" / "lock", done.exists)
    answers = []
    others = [
        threading.Thread(target=lambda: answers.append(lock_to_initialize(tmp_path / "new" / "lock", done.exists)))
        for _ in range(3)
    ]
    for other in others:
        other.start()
    others[0].join(timeout=0.2)
    assert others[0].is_alive()
    done.touch()
    first.close()
    for other in others:
        other.join(timeout=10)
    assert answers == [None, None, None]


def test_what_is_done_takes_no_lock(tmp_path):
    assert lock_to_initialize(tmp_path / "lock", lambda: True) is None
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_while_initializing_leaves_it_to_the_next(tmp_path):
    code = (
        "import pathlib, sys, time; from recobatch.storage.initialize import lock_to_initialize\n"
        "held = lock_to_initialize(pathlib.Path(sys.argv[1]), lambda: False); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.communicate()
    with lock_to_initialize(tmp_path / "lock", lambda: False) as held:
        assert not held.closed
