"""Two writers of one table: who is let in, and who loses when both were."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from recobatch.errors import TableBusy
from recobatch.table.object_store import lease
from recobatch.table.session import current_session
from tests.support.object_tables import another_handle, in_memory
from tests.support.small_table import publish, score_into


@pytest.fixture
def table(tmp_path):
    return in_memory(tmp_path / "ours")


@pytest.fixture
def rival(table, tmp_path):
    return another_handle(table, tmp_path / "theirs")


@pytest.fixture
def far_away(monkeypatch):
    """Every lease from here on is taken on a machine of its own, so that a process id tells nothing."""
    machines = iter(range(1_000_000))
    monkeypatch.setattr(lease, "_process_table", lambda: f"machine-{next(machines)}")


def card_of(table) -> dict:
    return json.loads(table.store.bucket.read(lease.LEASE)[0])


def rewrite_card(table, **changes) -> None:
    content, stamp = table.store.bucket.read(lease.LEASE)
    table.store.bucket.write(lease.LEASE, json.dumps(json.loads(content) | changes).encode(), over=stamp)


def stage_and_score(table, version, inputs):
    """A run up to the moment before it publishes."""
    staging = table.stage(version)
    entries = {"plain": score_into(staging, "plain", inputs)}
    return lambda: staging.publish(entries, champion="plain", expected_rows=60 * 40)


@pytest.mark.usefixtures("far_away")
def test_the_loser_is_told_at_once_who_holds_the_table(table, rival, inputs):
    with table.lock(holder="batch-7"):
        for ask in (
            lambda: rival.lock(holder="batch-8").__enter__(),
            rival.clean,
            lambda: publish(rival, "v1", inputs),
        ):
            with pytest.raises(TableBusy, match=rf"held by batch batch-7 \(pid {os.getpid()} on .*or until 20") as told:
                ask()
            assert told.value.exit_code == 4
            assert "\n" not in str(told.value)
        publish_of_holder = stage_and_score(table, "v1", inputs)
        publish_of_holder()
    assert publish(rival, "v2", inputs).version == table.current().version == "v2"


@pytest.mark.usefixtures("far_away")
def test_a_lease_that_nobody_renews_lapses(table, rival, inputs):
    with table.lock(holder="a"):
        publish_late = stage_and_score(table, "v1", inputs)
        rewrite_card(table, expires=time.time() - 1)
        publish(rival, "v2", inputs)
        with pytest.raises(TableBusy, match="found that another run has moved the pointer meanwhile"):
            publish_late()
    assert rival.current().version == "v2"
    assert rival.verify().ok
    publish(rival, "v3", inputs)
    assert rival.current().sequence == 2, "what lost was never published"
    assert rival.store.bucket.children("versions")[0] == ["v2", "v3"], "and is cleaned away"


@pytest.mark.usefixtures("far_away")
def test_who_is_late_cannot_point_at_what_a_rival_cleaned_away(table, rival, inputs):
    publish(table, "v1", inputs)
    with table.lock(holder="a"):
        publish_late = stage_and_score(table, "v2", inputs)
        session = current_session(table.store)
        move = type(session).move
        rewrite_card(table, expires=time.time() - 1)

        def clean_before(catalog):
            assert rival.clean(), "everything of v2 is uploaded by now"
            move(session, catalog)

        session.move = clean_before
        with pytest.raises(TableBusy, match=r"moved the pointer meanwhile \(now version v1, written by batch clean\)"):
            publish_late()
    assert rival.current().version == "v1"
    assert rival.verify().ok


@pytest.mark.usefixtures("far_away")
def test_the_holder_learns_that_its_lease_is_gone(table, rival, inputs, monkeypatch):
    monkeypatch.setattr(lease, "_BEATS", 10_000)
    with table.lock(holder="a"):
        publish_late = stage_and_score(table, "v1", inputs)
        thread = current_session(table.store)._lock._thread
        while thread.is_alive():  # until it has to renew while a rival holds the lease
            with suppress(lease.PreconditionFailed, TableBusy):
                rewrite_card(table, expires=time.time() - 1)
                with rival.lock(holder="rival"):
                    thread.join(0.05)
        with pytest.raises(TableBusy, match="held by batch rival"):
            publish_late()
    assert rival.current() is None


def test_a_lease_is_renewed(table, monkeypatch):
    monkeypatch.setattr(lease, "_BEATS", 10_000)
    beats = set()
    with table.lock(holder="a"):
        first = card_of(table)["expires"]
        while len(beats) < 4:
            beats.add(card_of(table)["beat"])
        assert card_of(table)["expires"] > first
    assert card_of(table)["expires"] == 0, "given back"


def test_the_lease_of_a_process_that_died_on_this_machine_is_free_at_once(table, inputs):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    publish(table, "v1", inputs)
    rewrite_card(table, pid=child.pid, expires=time.time() + 1000)
    assert publish(table, "v2", inputs).version == "v2"
    rewrite_card(table, pid=os.getppid(), expires=time.time() + 1000)
    with pytest.raises(TableBusy, match=f"pid {os.getppid()} on"):
        publish(table, "v3", inputs)


def test_a_lease_that_nobody_can_read_is_free(table, inputs):
    publish(table, "v1", inputs)
    _, stamp = table.store.bucket.read(lease.LEASE)
    table.store.bucket.write(lease.LEASE, b"[]", over=stamp)
    assert publish(table, "v2", inputs).version == "v2"


def test_another_part_of_the_same_process_is_a_rival_too(table, inputs):
    with table.lock(holder="first"):
        with pytest.raises(TableBusy, match="held by batch first of this process"):
            table.lock(holder="second").__enter__()
        stage_and_score(table, "v1", inputs)()  # tasks of the holder may write
    assert table.current().version == "v1"


def test_a_forked_child_holds_nothing_and_leaves_the_lease_alone(table):
    with table.lock(holder="parent"):
        before = card_of(table)["token"]
        if (child := os.fork()) == 0:
            held = current_session(table.store) is not None
            os._exit(3 if held else 0)
        assert os.waitpid(child, 0)[1] == 0
        assert card_of(table)["token"] == before
