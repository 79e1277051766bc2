"""SIGTERM and Ctrl-C in every stage of a whole run: one line, its exit code, the old table, nobody left behind."""

import random
import signal
import time

import pytest

from tests.support.faults.disk import FULL_SWEEP
from tests.support.faults.whole_run import STAGES, Project, wait_for_end

pytestmark = pytest.mark.long

WORDS = {
    signal.SIGTERM: (143, "terminated; nothing half-done was published, run again to go on"),
    signal.SIGINT: (130, "interrupted; nothing half-done was published, run again to go on"),
}
MOMENTS = (
    [(stage, number) for stage in STAGES for number in WORDS for _ in range(3)]
    if FULL_SWEEP
    else [("train", signal.SIGTERM), ("score", signal.SIGINT)]
)


@pytest.mark.timeout(60 + 60 * len(MOMENTS))
def test_a_run_that_is_stopped_says_so_and_the_next_one_goes_on(tmp_path, prefect_api):
    project, dice = Project(tmp_path), random.Random(5)
    published = None
    for stage, number in MOMENTS:
        run = project.start("--fresh")
        run.read_until(stage)
        server = run.children()
        assert server, "the run has a server of its own"
        time.sleep(dice.uniform(0, 0.3))
        run.process.send_signal(number)
        code, (expected, words) = run.end(), WORDS[number]
        now = project.table.current()
        if code == 0:
            assert stage in ("publish", "report"), run.lines
        else:
            assert code == expected, run.lines
            assert run.last_words == [words]
        if stage in ("ingest", "train"):
            assert now == published, "what was learned so far is not published"
        if now is not None:
            assert project.table.verify().ok
        published = now
        assert wait_for_end(server) == []
    last = project.start("--force", PREFECT_API_URL=prefect_api)
    assert last.end() == 0, last.lines
    assert project.table.current().version == last.summary["table"]["version"]
    assert project.table.verify().ok
    assert project.litter() == []
