"""The TLS server of the simulated Kubernetes API: ``http.server`` of the standard library, a thread per connection.

Unlike the simulated PVE's this one speaks plain, well-kept HTTP/1.1, so that nothing of one's own is needed. Flask or
Werkzeug would do too; the product would then ship with one of them for the sake of a test server.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from rotator.testing.kubernetes_exchange import Answer, Message

Silence = Callable[[], None]
"""Returns when the client has hung up."""

Handler = Callable[[Message, Silence], Answer | None]
"""Answers a request; None hangs up without an answer."""

_POLL = 0.02


class _Connection(BaseHTTPRequestHandler):
    """One connection: the handshake happens here, in its own thread, so that nobody holds up the others."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave as one: apart, the second waits 40 ms for the client's acknowledgement
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(60)
        if self.server.tls is not None:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        with self.server.lock:
            self.server.links.add(self.request)
        super().setup()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        with self.server.lock:
            self.server.links.discard(self.request)
        self.request.close()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = self.server.handler(Message(self.command, self.path, headers, body), self._wait)
        if found is None:
            self.close_connection = True
            return
        self.send_response_only(found.status)
        self.send_header("Cache-Control", "no-cache, private")
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.send_header("Date", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 - names that http.server looks for

    def _wait(self) -> None:
        with contextlib.suppress(OSError):
            self.request.recv(1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - http.server's own signature
        """Say nothing: what was asked is in ``SimulatedKubernetes.calls``."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined on close
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None, handler: Handler) -> None:
        self.tls = tls
        self.handler = handler
        self.links: set[socket.socket] = set()
        self.lock = Lock()
        super().__init__(address, _Connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up or do not trust us."""


class ApiServer:
    """Listens on a loopback port, which stays reserved while it is down; without TLS as ``kubectl proxy`` does."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self._handler = handler
        self._tls = tls
        self._reserved: socket.socket | None = None
        self._server: _Server | None = None
        self._thread: Thread | None = None

    def start(self) -> int:
        """Take a free port and listen; return it."""
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.listen()
        return int(self._reserved.getsockname()[1])

    def listen(self) -> None:
        """Accept connections (again). Repeat: nothing happens."""
        if self._reserved is not None and self._server is None:
            self._server = _Server(self._reserved.getsockname(), self._tls, self._handler)
            self._thread = Thread(target=self._server.serve_forever, args=(_POLL,), name="simulated-kubernetes")
            self._thread.start()

    def refuse(self) -> None:
        """Cut all connections and refuse new ones. Repeat: nothing happens."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()
        self.cut()
        self._server.server_close()
        self._server = None

    def cut(self) -> None:
        """Cut all connections; past ``SSLSocket``, whose own shutdown is not for another thread's use."""
        if self._server is not None:
            with self._server.lock:
                for link in self._server.links:
                    with contextlib.suppress(OSError):
                        socket.socket.shutdown(link, socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop, give the port back and leave no thread behind. Repeat: nothing happens."""
        self.refuse()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
