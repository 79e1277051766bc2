"""The card of whoever writes a table, and what others read from it."""

import json
import os
import subprocess
import sys

import pytest

from recobatch.table.holder import busy, card_of, is_running, read_card


def test_a_card_comes_back_as_it_was_written():
    card = card_of("batch-7")
    assert read_card(json.dumps(card).encode()) == card
    assert (card["holder"], card["pid"]) == ("batch-7", os.getpid())


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"garbage" * 50, b"\xff{}"])
def test_a_garbled_card_is_empty(content):
    assert read_card(content) == {}
    assert "held by another process, expected" in str(busy("here", read_card(content)))


def test_the_message_names_the_holder_and_when_its_lease_ends():
    card = {"holder": "b", "pid": 7, "host": "h", "since": "2026-01-01T00:00:00+00:00"}
    assert str(busy("here", card)).startswith(
        f"here: found the table held by batch b (pid 7 on h, since {card['since']})"
    )
    assert "wait until that run ends, or stop it, or pass" in str(busy("here", card))
    assert "or until 1970-01-01T00:01:00+00:00 if it died, or pass" in str(busy("here", card | {"expires": 60}))
    assert busy("here", card).exit_code == 4


def test_only_another_living_process_is_running():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert not is_running(child.pid)
    assert not is_running(os.getpid())
    assert not is_running(2**70)
    assert is_running(os.getppid())
