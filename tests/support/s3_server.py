"""A real S3 server on loopback, which strikes at the n-th request when told to."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


@dataclass
class Strike:
    """What happens at one request."""

    at: int
    """At which request, from 1; 0 for never."""
    act: Callable[[], bool]
    """Whether the answer is "500 Internal Server Error" in place of the server's own."""
    afterwards: bool = False
    """Whether the request has taken effect by then, so that only its answer is lost."""
    skip: tuple[str, ...] = ()
    """Requests that begin like this do not count."""


@dataclass
class S3Server:
    """Serves one request at a time: the server's own check and write are two steps."""

    strike: Strike | None = None
    tamper: Callable[[dict], str | None] = lambda _: None
    """Sees the environment of every request first, and may change it, or answer with the status that it returns."""
    halve: Callable[[dict], bool] = lambda _: False
    """Whether the connection breaks in the middle of the answer to a request, of which it sees the environment."""
    requests: list[str] = field(default_factory=list)
    """Method and path of every request since ``reset``."""

    def __post_init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._one = threading.RLock()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}", "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip

    def reset(
        self,
        strike: Strike | None = None,
        tamper: Callable[[dict], str | None] = lambda _: None,
        halve: Callable[[dict], bool] = lambda _: False,
    ) -> None:
        with self._one:
            self.strike, self.tamper, self.halve, self.requests = strike, tamper, halve, []

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ, start_response):
        with self._one:
            request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            if self.strike is None or not request.startswith(self.strike.skip):
                self.requests.append(request)
            if (status := self.tamper(environ)) is not None:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                return _refuse(start_response, status)
            strike = self.strike if self.strike and len(self.requests) == self.strike.at else None
            if strike is None:
                body = b"".join(self._app(environ, start_response))
                return [body[: len(body) // 2] if self.halve(environ) else body]
            if not strike.afterwards and strike.act():
                return _refuse(start_response)
            told = []
            body = list(self._app(environ, lambda *answer: told.append(answer)))
            if strike.afterwards and strike.act():
                return _refuse(start_response)
            start_response(*told[0])
            return body


def _refuse(start_response, status="500 Internal Server Error"):
    code = status.partition(" ")[2].replace(" ", "")
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{status}</Message></Error>".encode()
    start_response(status, [("Content-Length", str(len(body))), ("Content-Type", "application/xml")])
    return [body]


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass
