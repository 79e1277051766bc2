"""Publish, crash anywhere, recover, roll back, retain, read, in any order: the table is never wrong."""

import errno
import json
import shutil
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recobatch.errors import BadTable, RecobatchError
from recobatch.table import PredictionTable
from tests.support.faults.disk import FULL_SWEEP, Crash, crashing, refusing
from tests.support.faults.numbered import check_tidy, check_whole, inputs_of, publish_number, read_number

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
CALLS = st.integers(1, 60)
pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)


class TableMachine(RuleBasedStateMachine):
    """Knows what was published, and checks after every step what a consumer would read."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY, prefix="recobatch-"))
        self.root = self.folder / "predictions"
        self.table = PredictionTable(self.root)
        self.known: list[int] = []  # every snapshot, in the order of publishing
        self.current: int | None = None
        self.back: set[int] = set()  # what readers saw after what they see now
        self.next = 1

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, disk=None, keep=3):
        number = self.next
        self.next += 1
        inputs = inputs_of(self.folder, number)
        with disk.mounted() if disk else nullcontext():
            publish_number(self.root, inputs, number, keep=keep)

    def learn(self, *, allowed):
        """After a failure: take what is there, if it is one of the states that may be."""
        now, current = (check_whole(self.root) if self.root.exists() else []), read_number(self.root)
        assert (now, current) in allowed, (now, current, allowed)
        self.known = now
        self.see(current)

    def see(self, number):
        """From here on readers see another version."""
        if number != self.current:
            self.back = {other for other in self.back | {self.current} - {None} if other > number}
        self.current = number

    def after_publish(self, number, keep=3):
        """Every state a publish of ``number`` may be interrupted in."""
        states = [(self.known, self.current), ([*self.known, number], self.current)]
        known = [*self.known, number]
        states.append((list(known), number))
        for old in known[:-keep]:
            known = [other for other in known if other != old]
            states.append((list(known), number))
        return states

    @rule(keep=st.integers(1, 4))
    def publishes(self, keep):
        self.publish(keep=keep)
        self.known = [*self.known, self.next - 1][-keep:]
        self.see(self.next - 1)
        check_tidy(self.root)

    @rule(at=CALLS)
    def publishes_and_crashes(self, at):
        with suppress(Crash):
            self.publish(crashing(at))
        self.learn(allowed=self.after_publish(self.next - 1))

    @rule(at=CALLS, number=st.sampled_from([errno.ENOSPC, errno.EIO]), for_good=st.booleans())
    def publishes_and_is_refused(self, at, number, for_good):
        with suppress(RecobatchError):
            self.publish(refusing(at, number, for_good=for_good))
        self.learn(allowed=self.after_publish(self.next - 1))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def rolls_back(self, data):
        target = data.draw(st.sampled_from(self.known))
        self.table.rollback(f"v{target}")
        self.see(target)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), at=st.integers(1, 12))
    def rolls_back_and_crashes(self, data, at):
        target = data.draw(st.sampled_from(self.known))
        with suppress(Crash), crashing(at).mounted():
            self.table.rollback(f"v{target}")
        self.learn(allowed=[(self.known, self.current), (self.known, target)])

    @precondition(lambda self: self.current is not None)
    @rule()
    def rolls_back_one(self):
        earlier = [number for number in self.known if number < self.current]
        try:
            assert self.table.rollback().version == f"v{earlier[-1]}"
            self.see(earlier[-1])
        except BadTable:
            assert not earlier

    @precondition(lambda self: self.known)
    @rule(keep=st.integers(1, 3))
    def retains(self, keep):
        gone = [number for number in self.known[:-keep] if number != self.current]
        assert self.table.retain(keep) == [f"v{number}" for number in gone]
        self.known = [number for number in self.known if number not in gone]

    @rule()
    def cleans(self):
        self.table.clean()
        if self.current is not None:
            check_tidy(self.root)

    @invariant()
    def a_consumer_reads_the_current_one(self):
        if hasattr(self, "root") and self.root.exists():
            assert read_number(self.root) == self.current
            assert check_whole(self.root) == self.known

    @invariant()
    def what_was_rolled_back_is_known(self):
        """But for the time between a crash in mid-rollback and the next writer."""
        if hasattr(self, "root") and self.current is not None:
            pointer = self.root / "current.json"
            if pointer.exists() and json.loads(pointer.read_text())["version"] == f"v{self.current}":
                back = [f"v{number}" for number in self.known if number in self.back]
                assert [snapshot.version for snapshot in self.table.rolled_back()] == back


TestTable = TableMachine.TestCase
TestTable.settings = settings(
    max_examples=400 if FULL_SWEEP else 20,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
