"""An object store that fails or outlives the writer, at any request: the pointer always names a whole version."""

import itertools
import json

import pytest

from recobatch.errors import RecobatchError
from recobatch.table.object_store.bucket import Bucket
from recobatch.table.object_store.object_table import ObjectTable
from tests.faults.disk import FULL_SWEEP, Crash
from tests.faults.numbered import OPTIONS, ROWS, inputs_of
from tests.object_tables import in_memory
from tests.small_table import publish

pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)


class FaultyBucket(Bucket):
    """Counts its requests and fails at one of them, or dies there for good."""

    at = 0
    afterwards = False
    error: type[BaseException] = RecobatchError
    seen: list[str]

    def arm(self, at: int, *, error: type[BaseException], afterwards: bool) -> None:
        self.at, self.error, self.afterwards, self.seen = at, error, afterwards, []


def _watched(name):
    real = getattr(Bucket, name)

    def watched(self, *args, **kwargs):
        if not self.at:
            return real(self, *args, **kwargs)
        self.seen.append(name)
        now = len(self.seen)
        dead = self.error is Crash and now > self.at
        if dead or (now == self.at and not self.afterwards):
            raise self.error(f"struck at {name}; nobody answers")
        answer = real(self, *args, **kwargs)
        if now == self.at:
            raise self.error(f"struck after {name}; nobody answers")
        return answer

    return watched


for _name in ("read", "write", "upload", "children", "sizes", "delete", "open_file"):
    setattr(FaultyBucket, _name, _watched(_name))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Inputs of the version with a number: every prediction is that number."""
    folder, made = tmp_path_factory.mktemp("inputs"), {}

    def of(number: int):
        if number not in made:
            made[number] = inputs_of(folder, number)
        return made[number]

    return of


def publish_number(table: ObjectTable, inputs, number: int, *, keep: int = 3) -> None:
    publish(table, f"v{number}", inputs(number), options=OPTIONS, top=3, keep=keep)


def check_whole(table: ObjectTable) -> int | None:
    """What the pointer lists is whole, to the last pair; returns the number of the current version."""
    for snapshot in table.snapshots():
        assert snapshot.verify().problems == ()
    current = table.current()
    if current is None:
        return None
    listed = json.loads(table._bucket.read("current.json")[0])
    assert [snapshot.version for snapshot in table.snapshots()] == list(listed["snapshots"])
    low, high = (getattr(current.manifest.models["plain"], f"{end}_prediction") for end in ("min", "max"))
    assert low == high == int(current.version[1:])
    assert current.rows == {"plain": ROWS}
    return int(low)


def check_tidy(table: ObjectTable) -> None:
    """No object that the pointer does not lead to, and nothing on this machine."""
    listed = json.loads(table._bucket.read("current.json")[0])["snapshots"]
    assert table._bucket.children("versions")[0] == sorted(listed)
    assert not [path for path in table._scratch.rglob("*") if path.is_file()]


@pytest.mark.parametrize("afterwards", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("error", [RecobatchError, Crash], ids=["fails", "dies"])
@pytest.mark.parametrize("first", [True, False], ids=["first publish", "later publish"])
def test_struck_at_every_request(tmp_path, inputs, error, afterwards, first):
    numbers = itertools.count(4)
    table = in_memory(tmp_path / "scratch", FaultyBucket)
    for number in () if first else (1, 2, 3):
        publish_number(table, inputs, number)
    struck = 0
    for at in itertools.count(1, 2 if first and not FULL_SWEEP else 1):
        if first:
            table = in_memory(tmp_path / f"scratch-{at}", FaultyBucket)
        before, number = check_whole(table), next(numbers)
        table._bucket.arm(at, error=error, afterwards=afterwards)
        try:
            publish_number(table, inputs, number)
            failed = False
        except (RecobatchError, Crash):
            failed = True
        reached = len(table._bucket.seen) >= at
        table._bucket.at = 0
        struck += reached
        assert check_whole(table) in ((before, number) if failed else (number,)), at
        publish_number(table, inputs, following := next(numbers))
        assert check_whole(table) == following
        if first:  # which leaves its litter to the second
            publish_number(table, inputs, following := next(numbers))
        check_tidy(table)
        if not reached:
            break
    assert struck > (6 if first else 12), "a publish makes more than a dozen requests"


def test_a_lost_answer_is_no_failure(tmp_path, inputs):
    """Where the pointer was written and only the answer was lost, the run succeeds."""
    outcomes = []
    for at in itertools.count(1):
        table = in_memory(tmp_path / f"scratch-{at}", FaultyBucket)
        table._bucket.arm(at, error=RecobatchError, afterwards=True)
        try:
            publish_number(table, inputs, 1)
        except RecobatchError:
            pass
        else:
            outcomes.append(table._bucket.seen[at - 1] if len(table._bucket.seen) >= at else "none")
        if len(table._bucket.seen) < at:
            break
        table._bucket.at = 0
        if table.current() is not None:
            assert check_whole(table) == 1
    assert outcomes.count("write") >= 2, "the pointer, and the lease that is given back"


def test_it_is_said_when_nobody_knows(tmp_path, inputs, monkeypatch):
    table = in_memory(tmp_path / "scratch")
    publish_number(table, inputs, 1)
    with table.lock(holder="a"), monkeypatch.context() as away:
        for request in ("read", "write"):
            away.setattr(table._bucket, request, _nobody_answers)
        with pytest.raises(RecobatchError, match=r"not known whether version v1 is current, recobatch verify tells"):
            table._session.move(table._session.catalog)
    assert check_whole(table) == 1


def _nobody_answers(*_: object, **__: object) -> None:
    raise RecobatchError("found that nobody answers")
