"""Two machines publish, die, stall, roll back and retain, in any order: the table is never wrong."""

import itertools
import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from recobatch.errors import BadTable, RecobatchError
from recobatch.table.object_store import lease
from tests.support.faults.disk import FULL_SWEEP, Crash
from tests.support.faults.faulty_bucket import FaultyBucket, Inputs, check_tidy, check_whole, publish_number
from tests.support.faults.history import History
from tests.support.faults.numbered import N_ITEMS, N_USERS, OPTIONS
from tests.support.object_tables import another_handle, in_memory
from tests.support.small_table import score_into

pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)


class BucketMachine(RuleBasedStateMachine):
    """Knows what was published, and checks after every step what a consumer would read."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="recobatch-"))
        machines = itertools.count()
        self.far_apart = patch.object(lease, "_process_table", lambda: f"machine-{next(machines)}")
        self.far_apart.start()
        self.ours = in_memory(self.folder / "ours", FaultyBucket)
        self.theirs = another_handle(self.ours, self.folder / "theirs")
        self.inputs, self.numbers = Inputs(self.folder), itertools.count(1)
        self.history = History()
        self.stalled = None
        self.moved_since = False

    def teardown(self):
        if self.stalled:
            self.stalled[0].__exit__(None, None, None)
        self.far_apart.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def published(self):
        return self.history.known

    @property
    def current(self):
        return self.history.current

    def begin_version(self):
        number = next(self.numbers)
        self.history.parents[number] = self.current
        return number

    def lapse(self):
        """Two minutes later nobody holds a lease but who renews it, and whoever died or stalls does not."""
        if (found := self.theirs.store.bucket.read(lease.LEASE)) is not None:
            card = json.loads(found[0]) | {"expires": 0}
            self.theirs.store.bucket.write(lease.LEASE, json.dumps(card).encode(), over=found[1])

    def learn(self, *, allowed):
        listed, current = [int(snapshot.version[1:]) for snapshot in self.theirs.snapshots()], check_whole(self.theirs)
        assert (listed, current) in allowed, allowed
        if (listed, current) != (self.published, self.current):
            self.moved_since = True
        self.history.known = listed
        self.history.see(current)
        back = [f"v{number}" for number in sorted(self.history.back)]
        assert [entry.version for entry in self.theirs.rolled_back()] == back

    def states_after(self, number, keep):
        published = self.history.while_publishing(number, keep)
        return [(self.published, self.current), published[0], published[-1]]

    @rule(keep=st.integers(1, 3))
    def the_other_machine_publishes(self, keep):
        self.lapse()
        publish_number(self.theirs, self.inputs, number := self.begin_version(), keep=keep)
        self.learn(allowed=self.states_after(number, keep)[-1:])

    @precondition(lambda self: self.stalled is None)
    @rule(at=st.integers(1, 20), afterwards=st.booleans(), dies=st.booleans())
    def we_publish_and_are_struck(self, at, afterwards, dies):
        self.lapse()
        self.ours.store.bucket.arm(at, error=Crash if dies else RecobatchError, afterwards=afterwards)
        with suppress(Crash, RecobatchError):
            publish_number(self.ours, self.inputs, number := self.begin_version())
        self.ours.store.bucket.at = 0
        self.learn(allowed=self.states_after(number, 3))

    @precondition(lambda self: self.stalled is None)
    @rule()
    def we_stall_before_we_publish(self):
        self.lapse()
        lock = self.ours.lock(holder="slow")
        lock.__enter__()
        number = self.begin_version()
        staging = self.ours.stage(f"v{number}")
        entries = {"plain": score_into(staging, "plain", self.inputs.of(number), options=OPTIONS)}
        self.stalled, self.moved_since = (lock, number, staging, entries), False

    @precondition(lambda self: self.stalled is not None)
    @rule()
    def we_go_on(self):
        lock, number, staging, entries = self.stalled
        self.stalled = None
        try:
            staging.publish(entries, champion="plain", expected_rows=N_USERS * N_ITEMS)
        except RecobatchError:  # another run published, or removed our files: nothing of ours was published
            assert self.moved_since
            self.learn(allowed=[(self.published, self.current)])
        else:
            assert not self.moved_since
            self.learn(allowed=[([*self.published, number], number)])
        finally:
            lock.__exit__(None, None, None)

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def the_other_machine_rolls_back(self, data):
        self.lapse()
        target = data.draw(st.sampled_from(self.published))
        self.theirs.rollback(f"v{target}")
        self.moved_since = True
        self.learn(allowed=[(self.published, target)])

    @precondition(lambda self: self.current is not None)
    @rule()
    def the_other_machine_rolls_back_to_the_good_version_before(self):
        self.lapse()
        expected = self.history.before(self.current, self.published)
        if expected is None:
            with pytest.raises(BadTable, match="found no snapshot older than"):
                self.theirs.rollback()
        else:
            assert self.theirs.rollback().version == f"v{expected}"
            self.moved_since = True
            self.learn(allowed=[(self.published, expected)])

    @precondition(lambda self: self.published)
    @rule(keep=st.integers(1, 3))
    def the_other_machine_retains(self, keep):
        self.lapse()
        gone = self.history.removed(keep, self.published, self.current)
        assert self.theirs.retain(keep) == [f"v{number}" for number in gone]
        self.learn(allowed=[([number for number in self.published if number not in gone], self.current)])

    @rule()
    def the_other_machine_cleans(self):
        self.lapse()
        if self.theirs.clean():
            self.moved_since = True
        if self.current is not None:
            check_tidy(self.theirs)

    @invariant()
    def a_consumer_reads_the_current_one(self):
        if hasattr(self, "theirs"):
            assert check_whole(self.theirs) == self.current


TestBucket = BucketMachine.TestCase
TestBucket.settings = settings(
    max_examples=300 if FULL_SWEEP else 8,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
