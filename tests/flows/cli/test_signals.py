"""A signal stops the process wherever it strikes."""

import signal
import subprocess
import sys
import time

import pytest

from flows.cli.signals import signal_behind

# The signal comes while an object is torn down, where Python forgets what is raised.
_TORN_DOWN = """
import sys, time
from flows.cli.signals import raise_on_signals, signal_behind
raise_on_signals()
raise_on_signals()

class Slow:
    def __del__(self):
        print("ready", flush=True)
        time.sleep(100)
        print("nobody stopped it")

try:
    Slow()
    time.sleep(100)
except BaseException as error:
    print(*signal_behind(error))
"""


@pytest.mark.parametrize(
    ("number", "told"),
    [(signal.SIGTERM, "terminated 143"), (signal.SIGINT, "interrupted 130")],
    ids=lambda value: str(value),
)
def test_a_signal_that_strikes_a_finaliser_is_not_lost(number, told):
    process = subprocess.Popen(
        [sys.executable, "-c", _TORN_DOWN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (out, err) == (f"{told}\n", "")


# The signal comes while the lock of a queue is taken; raised there, it would leave the lock held for ever.
_TAKES_A_LOCK = """
import sys, threading, time
from flows.cli.signals import raise_on_signals, signal_behind
raise_on_signals()
lock = threading.Lock()
condition = threading.Condition(lock)
lock.acquire()

def release():
    sys.stdin.readline()
    lock.release()

threading.Thread(target=release, daemon=True).start()
print("ready", flush=True)
try:
    with condition:
        print("taken", flush=True)
        time.sleep(100)
except BaseException as error:
    print(*signal_behind(error), lock.locked())
"""


@pytest.mark.parametrize(
    ("number", "told"), [(signal.SIGTERM, "terminated 143"), (signal.SIGINT, "interrupted 130")], ids=str
)
def test_a_signal_waits_until_a_lock_is_taken_and_releases_it(number, told):
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKES_A_LOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    process.send_signal(number)
    time.sleep(0.1)
    try:
        out, _ = process.communicate("\n", timeout=60)
    finally:
        process.kill()
    assert out == f"taken\n{told} False\n"


def test_what_is_lost_otherwise_is_printed_as_ever():
    program = """
from flows.cli.signals import raise_on_signals
raise_on_signals()

class Broken:
    def __del__(self):
        raise ValueError("torn")

Broken()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "ValueError: torn" in done.stderr


def test_no_signal_is_behind_a_common_error():
    assert signal_behind(ValueError("no")) is None
