"""Publish, crash anywhere, recover, roll back, retain, read, in any order: the table is never wrong."""

import errno
import shutil
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recobatch.errors import BadTable, RecobatchError
from recobatch.table import open_table
from tests.support.faults.disk import FULL_SWEEP, Crash, crashing, refusing
from tests.support.faults.history import History
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
        self.table = open_table(self.root)
        self.history = History()
        self.next = 1

    def teardown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def known(self):
        return self.history.known

    @property
    def current(self):
        return self.history.current

    def publish(self, disk=None, keep=3):
        number = self.next
        self.next += 1
        self.history.parents[number] = self.current
        inputs = inputs_of(self.folder, number)
        with disk.mounted() if disk else nullcontext():
            publish_number(self.root, inputs, number, keep=keep)

    def learn(self, *, allowed):
        """After a failure: take what is there, if it is one of the states that may be."""
        now, current = (check_whole(self.root) if self.root.exists() else []), read_number(self.root)
        assert (now, current) in allowed, (now, current, allowed)
        self.history.known = now
        self.history.see(current)

    def after_publish(self, number):
        """Every state a publish of ``number`` may be interrupted in."""
        before = [(self.known, self.current), ([*self.known, number], self.current)]
        return before + self.history.while_publishing(number, keep=3)

    @rule(keep=st.integers(1, 4))
    def publishes(self, keep):
        self.publish(keep=keep)
        number = self.next - 1
        self.history.known = self.history.while_publishing(number, keep)[-1][0]
        self.history.see(number)
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
        self.history.see(target)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), at=st.integers(1, 12))
    def rolls_back_and_crashes(self, data, at):
        target = data.draw(st.sampled_from(self.known))
        with suppress(Crash), crashing(at).mounted():
            self.table.rollback(f"v{target}")
        self.learn(allowed=[(self.known, self.current), (self.known, target)])

    @precondition(lambda self: self.current is not None)
    @rule()
    def rolls_back_to_the_good_version_before(self):
        expected = self.history.before(self.current, self.known)
        if expected is None:
            with pytest.raises(BadTable, match="found no snapshot older than"):
                self.table.rollback()
        else:
            assert self.table.rollback().version == f"v{expected}"
            self.history.see(expected)

    @precondition(lambda self: self.known)
    @rule(keep=st.integers(1, 3))
    def retains(self, keep):
        gone = self.history.removed(keep, self.known, self.current)
        assert self.table.retain(keep) == [f"v{number}" for number in gone]
        self.history.known = [number for number in self.known if number not in gone]

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
        """Whatever was published, removed or interrupted since."""
        if hasattr(self, "root") and self.current is not None:
            back = [f"v{number}" for number in sorted(self.history.back)]
            assert [entry.version for entry in self.table.rolled_back()] == back


TestTable = TableMachine.TestCase
TestTable.settings = settings(
    max_examples=400 if FULL_SWEEP else 10,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
