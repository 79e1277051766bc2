"""Servers that take a connection and never answer are not waited for without end."""

import socket
import threading

import pytest

from recobatch.errors import BadRatings, RatingsUnreachable
from recobatch.reading import localized, remote
from recobatch.reading.files import names_many
from recobatch.sources.datasets import source_fingerprint

pytestmark = pytest.mark.slow


@pytest.fixture
def silent():
    """Host and port of a server that takes every connection and sends nothing."""
    connections = []

    def accept():
        while True:
            try:
                connections.append(server.accept()[0])
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in connections:
        connection.close()


def test_a_silent_web_server_is_given_up_and_not_asked_again(silent, monkeypatch):
    monkeypatch.setattr(remote, "_SECONDS_TO_IDENTIFY", 0.2)
    monkeypatch.setattr(remote, "_SECONDS_WITHOUT_A_BYTE", 0.4)
    address = f"http://{silent}/ratings.csv"
    assert source_fingerprint(address) != source_fingerprint(address)
    with (
        pytest.raises(
            BadRatings, match=r"ratings\.csv: found a server that sent nothing for 0\.4 s, expected"
        ) as caught,
        localized(address),
    ):
        pass
    assert not isinstance(caught.value, RatingsUnreachable), "it would be tried twice more"


@pytest.mark.long
def test_a_silent_object_store_is_given_up(silent, monkeypatch):
    monkeypatch.setattr(remote, "_SECONDS_OF_S3", 1)  # the least that its client counts in
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{silent}")
    assert not names_many("s3://bucket/ratings")
    with pytest.raises(RatingsUnreachable, match="could not fetch it"), localized("s3://bucket/ratings.csv"):
        pass


def test_the_limits_end_a_run_of_three_attempts_within_two_minutes():
    web = 2 * remote._SECONDS_TO_IDENTIFY + remote._SECONDS_WITHOUT_A_BYTE
    connecting = 3 * 3 * remote._SECONDS_TO_CONNECT
    s3 = 3 * 3 * 3 * remote._SECONDS_OF_S3
    gcs = 3 * 3 * remote._SECONDS_OF_RETRIES
    assert max(web, connecting, s3, gcs) <= 120
