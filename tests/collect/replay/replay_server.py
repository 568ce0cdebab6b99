"""A site (a function from request to answer) → a proxy that clients reach it through, TLS included, on this machine alone.

The proxy takes CONNECT for any host, answers for it with the test's certificate, and connects to nothing.
"""

import contextlib
import http.server
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from pipeline_lib.collect.limiter import Refused


def insist(question: Callable, *words: object) -> object:
    """The answer to a question, asked again after two refusals as a stage does."""
    for _ in range(2):
        with contextlib.suppress(Refused):
            return question(*words)
    return question(*words)


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body or b"{}")


@dataclass
class Answer:
    """An answer, or half of one."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None  # bytes of the body after which `then` happens
    then: str = "end"  # end | reset | stall


@dataclass
class Server:
    """A running proxy."""

    address: str
    asked: list[tuple[float, Asked]]  # when (monotonic), what


@contextlib.contextmanager
def serve(site: Callable[[Asked], Answer], context: ssl.SSLContext) -> Iterator[Server]:
    asked: list[tuple[float, Asked]] = []
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""
        timeout = 30

        def do_CONNECT(self) -> None:
            self.host = self.path.rpartition(":")[0]
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            try:
                self.connection = context.wrap_socket(self.connection, server_side=True)
            except (OSError, ssl.SSLError):
                self.close_connection = True
                return
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)
            self.close_connection = False

        def do_GET(self) -> None:
            moment = time.monotonic()
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(self.command, self.host, parts.path, query, dict(self.headers), body)
            asked.append((moment, request))
            answer = site(request)
            with contextlib.suppress(OSError):
                self.send(answer)

        do_POST = do_HEAD = do_GET

        def send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body if answer.sent is None else answer.body[: answer.sent])
            if answer.sent is None:
                return
            if answer.then == "stall":
                over.wait(20)
            if answer.then == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            self.close_connection = True

        def log_message(self, *words: object) -> None:
            pass

    class Proxy(http.server.ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def handle_error(self, request: object, client: object) -> None:
            pass  # clients are killed in mid-sentence here

    proxy = Proxy(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://127.0.0.1:{proxy.server_address[1]}", asked)
    finally:
        over.set()
        proxy.shutdown()
        proxy.server_close()
