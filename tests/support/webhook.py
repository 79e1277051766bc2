"""The other end of a webhook."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "wh-5f1c9e7b"


class Receiver(ThreadingHTTPServer):
    """A webhook's other end: keeps what was posted; may refuse, or not answer until it is let go."""

    def __init__(self, status=200, *, hangs=False):
        self.posted, self.arrived, self.let_go = [], threading.Event(), threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
                receiver.arrived.set()
                if hangs:
                    receiver.let_go.wait(120)
                    return
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_port}/{SECRET}"


@contextmanager
def receiving(**options):
    receiver = Receiver(**options)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.let_go.set()
        receiver.shutdown()
        receiver.server_close()
        thread.join()
