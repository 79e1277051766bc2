"""Two lanes of training side by side."""

import threading
from contextvars import ContextVar

import pytest

from flows.tasks.lanes import LaneStopped, check_lane, side_by_side

SEEN = ContextVar("seen", default="nothing")


def until_stopped():
    while True:
        check_lane()


def failing():
    raise ValueError("broken")


def interrupted():
    raise KeyboardInterrupt


def test_both_lanes_run_at_once_in_the_same_context():
    meeting, token = threading.Barrier(2), SEEN.set("the flow run")

    def lane():
        meeting.wait(timeout=10)
        return SEEN.get(), threading.current_thread() is threading.main_thread()

    assert side_by_side(lane, lane) == (("the flow run", True), ("the flow run", False))
    SEEN.reset(token)


@pytest.mark.parametrize("lanes", [(failing, until_stopped), (until_stopped, failing)])
def test_a_failure_ends_the_other_lane_and_is_raised(lanes):
    with pytest.raises(ValueError, match="broken"):
        side_by_side(*lanes)
    assert "lane" not in {thread.name for thread in threading.enumerate()}


def test_ctrl_c_ends_the_other_lane():
    ended = threading.Event()

    def beside():
        try:
            until_stopped()
        except LaneStopped:
            ended.set()
            raise

    with pytest.raises(KeyboardInterrupt):
        side_by_side(interrupted, beside)
    assert ended.is_set()


def test_work_outside_of_lanes_is_never_stopped():
    check_lane()
    with pytest.raises(ValueError, match="broken"):
        side_by_side(failing, lambda: None)
    check_lane()
