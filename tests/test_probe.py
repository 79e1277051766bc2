"""Whether a server answers, asked without the retries of a vendor's client."""

import http.server
import ssl
import threading

import pytest

from recobatch.probe import probe
from tests.support.mlflow_server import free_port


@pytest.fixture
def address():
    """Of a server that refuses whatever it is asked."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        answering = threading.Thread(target=server.handle_request)
        answering.start()
        yield f"http://127.0.0.1:{server.server_port}/health"
        answering.join()


def test_a_refusal_is_an_answer_and_no_certificate_is_loaded_for_it(address, monkeypatch):
    """Loading the system's certificates takes longer than all the rest, and none is checked."""
    loaded = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: loaded.append("certificates"))
    probe(address, 5)
    assert loaded == []


def test_nobody_at_the_address_is_an_error():
    with pytest.raises(OSError, match="refused"):
        probe(f"http://127.0.0.1:{free_port()}", 5)


def test_what_is_no_address_is_another():
    with pytest.raises(ValueError, match=r"nonnumeric port"):
        probe("http://127.0.0.1:port/", 5)
