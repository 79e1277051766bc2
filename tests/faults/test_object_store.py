"""An object store that fails or outlives the writer, at any request: the pointer always names a whole version."""

import itertools

import pytest

from recobatch.errors import RecobatchError
from recobatch.table.session import current_session
from tests.support.faults.disk import FULL_SWEEP, Crash, strikes
from tests.support.faults.faulty_bucket import FaultyBucket, Inputs, check_tidy, check_whole, publish_number
from tests.support.object_tables import in_memory

pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.long
@pytest.mark.parametrize("afterwards", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("error", [RecobatchError, Crash], ids=["fails", "dies"])
@pytest.mark.parametrize("first", [True, False], ids=["first publish", "later publish"])
def test_struck_at_every_request(tmp_path, inputs, error, afterwards, first):
    """Each request in one of the four ways; `make faults` strikes it in all of them."""
    numbers = itertools.count(4)
    table = in_memory(tmp_path / "scratch", FaultyBucket)
    for number in () if first else (1, 2, 3):
        publish_number(table, inputs, number)
    for at in strikes(4, 1 + 2 * afterwards + (error is Crash)):
        if first:
            table = in_memory(tmp_path / f"scratch-{at}", FaultyBucket)
        before, number = check_whole(table), next(numbers)
        table.store.bucket.arm(at, error=error, afterwards=afterwards)
        try:
            publish_number(table, inputs, number)
            failed = False
        except (RecobatchError, Crash):
            failed = True
        reached = len(table.store.bucket.seen) >= at
        table.store.bucket.at = 0
        assert check_whole(table) in ((before, number) if failed else (number,)), at
        publish_number(table, inputs, following := next(numbers))
        assert check_whole(table) == following
        if first:  # which leaves its litter to the second
            publish_number(table, inputs, following := next(numbers))
        check_tidy(table)
        if not reached:
            break
    assert at > 12, "a publish makes more than a dozen requests"


def test_a_lost_answer_is_no_failure(tmp_path, inputs):
    """Where the pointer was written and only the answer was lost, the run succeeds."""
    outcomes = []
    for at in itertools.count(1):
        table = in_memory(tmp_path / f"scratch-{at}", FaultyBucket)
        table.store.bucket.arm(at, error=RecobatchError, afterwards=True)
        try:
            publish_number(table, inputs, 1)
        except RecobatchError:
            pass
        else:
            outcomes.append(table.store.bucket.seen[at - 1] if len(table.store.bucket.seen) >= at else "none")
        if len(table.store.bucket.seen) < at:
            break
        table.store.bucket.at = 0
        if table.current() is not None:
            assert check_whole(table) == 1
    assert outcomes.count("write") >= 2, "the pointer, and the lease that is given back"


def test_it_is_said_when_nobody_knows(tmp_path, inputs, monkeypatch):
    table = in_memory(tmp_path / "scratch")
    publish_number(table, inputs, 1)
    with table.lock(holder="a"), monkeypatch.context() as away:
        for request in ("read", "write"):
            away.setattr(table.store.bucket, request, _nobody_answers)
        writer = current_session(table.store)
        with pytest.raises(RecobatchError, match=r"not known whether version v1 is current, recobatch verify shows it"):
            writer.move(writer.catalog)
    assert check_whole(table) == 1


def _nobody_answers(*_: object, **__: object) -> None:
    raise RecobatchError("found that nobody answers")
