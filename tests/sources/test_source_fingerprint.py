"""Fingerprints of sources: of the content where it can be had, else new each time."""

import functools
import http.server
import threading

import pytest

from recobatch.sources.datasets import source_fingerprint

pytestmark = pytest.mark.slow


def test_a_changed_file_is_another_source(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("1,2,3")
    before = source_fingerprint(str(path))
    assert source_fingerprint(str(path)) == before
    path.write_text("1,2,4")
    assert source_fingerprint(str(path)) != before


class Changing(http.server.SimpleHTTPRequestHandler):
    """A web server that dates its files, unless the address ends in ``undated``."""

    def log_message(self, *_args):
        pass

    def send_header(self, name, value):
        if not (name == "Last-Modified" and self.path.endswith("undated")):
            super().send_header(name, value)


@pytest.fixture
def web(tmp_path):
    handler = functools.partial(Changing, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_web_page_counts_by_its_headers(web, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("1,2,3")
    before = source_fingerprint(f"{web}/ratings.csv?sig=1")
    assert source_fingerprint(f"{web}/ratings.csv?sig=2") == before
    path.write_text("1,2,33")
    assert source_fingerprint(f"{web}/ratings.csv?sig=1") != before


@pytest.mark.parametrize("page", ["ratings.csv?undated", "nothing.csv"])
def test_a_page_without_headers_of_its_content_is_always_new(web, tmp_path, page):
    (tmp_path / "ratings.csv").write_text("1,2,3")
    assert source_fingerprint(f"{web}/{page}") != source_fingerprint(f"{web}/{page}")
