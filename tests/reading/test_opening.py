import functools
import gzip
import http.server
import threading

import fsspec
import pytest

from recobatch.errors import BadRatings, RatingsUnreachable
from recobatch.ingest import IngestOptions, ingest
from recobatch.reading import ReadOptions, localized

pytestmark = pytest.mark.slow

CONTENT = b"user,item,rating\n1,2,3\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass

    def do_GET(self):
        if self.path == "/broken.csv":  # promises more than it sends
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(CONTENT)
        else:
            super().do_GET()


@pytest.fixture
def address(tmp_path):
    """A web server on loopback that offers the test's folder."""
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_on_a_web_server_is_read_and_no_copy_is_left(address, tmp_path):
    (tmp_path / "ratings.csv.gz").write_bytes(gzip.compress(CONTENT))
    out = tmp_path / "out"
    out.mkdir()
    assert ingest(f"{address}/ratings.csv.gz?token=secret", ReadOptions(), IngestOptions(), out).ratings == 1
    with localized(f"{address}/ratings.csv.gz") as path:
        assert path.stat().st_size
    assert not path.exists()


def test_a_file_that_is_not_there_is_refused_without_telling_secrets(address, tmp_path):
    uri = f"{address.replace('//', '//ann:pass@')}/nothing.csv?token=secret"
    with pytest.raises(BadRatings) as caught:
        ingest(uri, ReadOptions(), IngestOptions(), tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{address}/nothing.csv: could not fetch it (FileNotFoundError: ")
    assert not any(secret in message for secret in ("ann", "pass", "secret"))


@pytest.mark.parametrize("name", ["broken.csv"])
def test_a_download_that_breaks_off_may_be_tried_again(address, name, tmp_path):
    with pytest.raises(RatingsUnreachable, match=r"broken\.csv: could not fetch it .*; check the connection"):
        ingest(f"{address}/{name}", ReadOptions(), IngestOptions(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nobody_listening_may_be_tried_again():
    with pytest.raises(RatingsUnreachable, match="could not fetch it"), localized("http://127.0.0.1:9/ratings.csv"):
        pass


def test_a_folder_elsewhere_is_refused():
    with fsspec.open("memory://folder/inner/ratings.csv", "wb") as file:
        file.write(CONTENT)
    with pytest.raises(BadRatings, match="memory://folder/inner: "), localized("memory://folder/inner"):
        pass


def test_a_missing_package_is_named():
    with (
        pytest.raises(BadRatings, match=r"abfs://c/x.csv: could not fetch it \(ImportError: Install adlfs"),
        localized("abfs://c/x.csv"),
    ):
        pass
