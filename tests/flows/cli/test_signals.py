"""A signal stops the process wherever it strikes."""

import signal
import subprocess
import sys
import time

import pytest

from flows.cli.signals import signal_behind

pytestmark = pytest.mark.slow

WORDS = [(signal.SIGTERM, "terminated 143"), (signal.SIGINT, "interrupted 130")]


# In short naps: a signal that comes just before a long one begins would be noticed at its end.
WAIT = "def wait():\n    import time\n    for _ in range(1000):\n        time.sleep(0.1)\n"


def stopped(program, number, *, answer=""):
    """What the program prints after "ready", when it gets the signal."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT + program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3 if answer else 0)
    process.send_signal(number)
    time.sleep(0.1 if answer else 0)
    try:
        out, err = process.communicate(answer, timeout=60)
    finally:
        process.kill()
    assert err == ""
    return out


# The signal comes while an object is torn down, where Python forgets what is raised.
_TORN_DOWN = """
import sys
from flows.cli.signals import raise_on_signals, signal_behind
raise_on_signals()
raise_on_signals()

class Slow:
    def __del__(self):
        print("ready", flush=True)
        wait()
        print("nobody stopped it")

try:
    Slow()
    wait()
except BaseException as error:
    print(*signal_behind(error))
"""


@pytest.mark.parametrize(("number", "told"), WORDS, ids=str)
def test_a_signal_that_strikes_a_finaliser_is_not_lost(number, told):
    assert stopped(_TORN_DOWN, number) == f"{told}\n"


# The signal comes where somebody else's code forgets whatever was raised.
_FORGOTTEN = """
from flows.cli.signals import raise_on_signals, signal_behind
raise_on_signals()
try:
    try:
        print("ready", flush=True)
        wait()
    except BaseException:
        print("forgotten", flush=True)
    wait()
except BaseException as error:
    print(*signal_behind(error))
"""


@pytest.mark.parametrize(("number", "told"), WORDS, ids=str)
def test_a_signal_that_a_library_forgets_is_raised_again(number, told):
    assert stopped(_FORGOTTEN, number) == f"forgotten\n{told}\n"


_HANDLED = """
import time
from flows.cli.signals import handled, raise_on_signals
raise_on_signals()
handled()
try:
    print("ready", flush=True)
    wait()
except KeyboardInterrupt:
    print("caught")
time.sleep(0.1)
print("ended")
"""


def test_one_that_a_library_handles_is_not():
    assert stopped(_HANDLED, signal.SIGINT) == "caught\nended\n"


# During a flow the handler is Prefect's; the command line's comes back afterwards.
_IN_A_FLOW = """
from flows.cli.signals import raise_in_flows, raise_on_signals, signal_behind
from prefect.exceptions import TerminationSignal
from prefect.utilities.engine import capture_sigterm, is_prefect_sigterm_handler_installed
raise_on_signals()
raise_in_flows()
try:
    with capture_sigterm():
        assert is_prefect_sigterm_handler_installed()
        try:
            print("ready", flush=True)
            wait()
        except TerminationSignal as error:
            print("forgotten", error.signal, flush=True)
            del error
        try:
            wait()
        except TerminationSignal:
            print("raised again", flush=True)
            raise
except BaseException as error:
    print(type(error).__name__, *signal_behind(error))
"""


@pytest.mark.long
@pytest.mark.process
def test_a_signal_that_is_forgotten_within_a_flow_is_raised_again():
    out = stopped(_IN_A_FLOW, signal.SIGTERM)
    assert out == "forgotten 15\nraised again\nTerminated terminated 143\n"


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
        wait()
except BaseException as error:
    print(*signal_behind(error), lock.locked())
"""


@pytest.mark.parametrize(("number", "told"), WORDS, ids=str)
def test_a_signal_waits_until_a_lock_is_taken_and_releases_it(number, told):
    assert stopped(_TAKES_A_LOCK, number, answer="\n") == f"taken\n{told} False\n"


_ENTER_A_FLOW = """
from flows.cli.signals import raise_in_flows
from prefect.utilities.engine import capture_sigterm
raise_on_signals()
raise_in_flows()
flow = capture_sigterm()
flow.__enter__()
"""


@pytest.mark.long
@pytest.mark.process
def test_so_does_one_within_a_flow():
    in_flow = _TAKES_A_LOCK.replace("raise_on_signals()\nlock", _ENTER_A_FLOW + "lock")
    assert stopped(in_flow, signal.SIGTERM, answer="\n") == "taken\nterminated 143 False\n"


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
