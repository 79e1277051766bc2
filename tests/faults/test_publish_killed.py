"""SIGKILL at the calls of a publish that change the disk, while three kinds of consumers read."""

import errno
import itertools

import pytest

from tests.support.faults.disk import FULL_SWEEP, strikes
from tests.support.faults.numbered import check_tidy, check_whole, inputs_of, publish_number, read_number

pytestmark = pytest.mark.timeout(3600 if FULL_SWEEP else 300)


@pytest.mark.long
def test_killed_at_any_call_while_consumers_read(three, writer, readers):
    numbers = itertools.count(4)
    before = [1, 2, 3]
    for at in strikes(3):
        number = next(numbers)
        code, _ = writer.publish(three, number, at=at)
        if code == 0:
            break
        assert code == -9
        now = check_whole(three)
        newest = [*before, number][-3:]
        # Old or new, and nothing lost but what retention takes from a table that has its new snapshot already.
        assert read_number(three) in (before[-1], number)
        assert now in ([*before], [*before, number], newest), (at, before, now)
        assert (read_number(three) == number) <= (number in now)
        # The next run goes on, with what the dead one had finished or with something else, and tidies up.
        goes_on = at % 2 == 0 and number not in now
        code, told = writer.publish(three, following := number if goes_on else next(numbers))
        assert (code, told["error"]) == (0, None)
        check_tidy(three)
        before = check_whole(three)
        assert before[-1] == read_number(three) == following
        assert len(before) == 3
    assert at > 40, "a publish makes dozens of such calls"
    for name, told in readers().items():
        assert told["wrong"] == [], name
        assert told["failed"] == [], name
        assert told["reads"] > 20, name


@pytest.mark.long
def test_killed_at_any_call_of_the_first_publish(folder, writer):
    for at in strikes(4):
        root = folder / f"root-{at}"
        code, _ = writer.publish(root, 1, at=at)
        landed = False
        if root.exists():
            assert read_number(root) in (None, 1)
            if (root / "versions").exists():
                landed = check_whole(root) == [1]
        # Whatever the first run had finished is used again.
        following = 2 if landed else 1
        code_after, told = writer.publish(root, following)
        assert (code_after, told["error"]) == (0, None), at
        check_tidy(root)
        assert check_whole(root)[-1] == following
        if code == 0:
            break
    assert at > 30


@pytest.mark.long
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
def test_refused_at_any_call(three, folder, writer, number):
    """One clear line and exit code 1, whichever call fails; or the publish does not need that call."""
    refused, before = 0, 3
    versions = itertools.count(4)
    for at in strikes(3 if number == errno.ENOSPC else 5):
        version = next(versions)
        code, told = writer.publish(three, version, at=at, errno=number)
        assert code in (0, 1), told
        if len(told["calls"]) < at:
            break
        if code == 1:
            refused += 1
            assert "\n" not in told["error"]
            assert "expected" in told["error"]
            assert read_number(three) in (before, version)
            if read_number(three) == version:
                assert "is current" in told["error"] or "current table still stands" in told["error"]
            else:
                assert "nothing was published" in told["error"] or "still stands" in told["error"]
        check_whole(three)
        before = next(versions)
        publish_number(three, inputs_of(folder, before), before)
        check_tidy(three)
        assert read_number(three) == before
    assert refused > 5
