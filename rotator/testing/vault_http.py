"""HTTP and TLS for the simulated Vault: the standard library's server, a thread for each connection."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rotator.testing.vault_exchange import VaultReply, VaultRequest

Handler = Callable[[VaultRequest], VaultReply | None]
"""Answers a request; None hangs up."""

_LIST = {"list": "true"}
_PATIENCE = 30


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body go out as one piece; two cost a client with delayed acknowledgements 40 ms
    disable_nagle_algorithm = True
    timeout = _PATIENCE
    server: VaultServer

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, ssl.SSLError):
            self.close_connection = True

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = self._request(self.rfile.read(length))
        answer = self.server.handler(request) if request else VaultReply(400, {"errors": ["invalid request"]})
        if answer is None:
            self.close_connection = True
            return
        body = b"" if answer.body is None else json.dumps(answer.body).encode() + b"\n"
        self.send_response(answer.status)
        for name, value in {"Cache-Control": "no-store", "Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if answer.body is not None:
            self.send_header("Content-Length", str(len(body)))
        elif answer.status != 204:  # noqa: PLR2004 - No Content, which has no length
            self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.write(body)

    def _request(self, body: bytes) -> VaultRequest | None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = unquote(parts.path)
        try:
            content = json.loads(body) if body else {}
        except ValueError:
            content = None
        if not path.startswith("/v1/") or not isinstance(content, dict) or not path.isprintable():
            return None
        return VaultRequest(
            method=_method(self.command, query),
            path=path.removeprefix("/v1/"),
            namespace=self.headers.get("X-Vault-Namespace", "").strip("/"),
            token=self.headers.get("X-Vault-Token", ""),
            body=content,
            query=query,
            wrap_ttl=self.headers.get("X-Vault-Wrap-TTL", ""),
            certificate=self._certificate(),
            connection=self.server.number_of(self.connection),
        )

    def _certificate(self) -> bytes:
        link = self.connection
        return (link.getpeercert(binary_form=True) or b"") if isinstance(link, ssl.SSLSocket) else b""

    do_GET = do_POST = do_PUT = do_DELETE = do_LIST = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - as http.server has it
        """Say nothing: what is worth knowing is in ``calls``."""


def _method(command: str, query: dict[str, str]) -> str:
    if command == "GET" and query.items() >= _LIST.items():
        return "LIST"
    return "PUT" if command == "POST" else command


class VaultServer(ThreadingHTTPServer):
    """Listens on loopback, with TLS or, without ``tls``, in the clear. ``closing`` is set when it ends."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self, handler: Handler, tls: ssl.SSLContext | None, address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        super().__init__(address, _Connection)
        self.handler = handler
        self.closing = Event()
        self._tls = tls
        self._open: dict[socket.socket, int] = {}
        self._count = 0
        self._lock = Lock()
        self._thread = Thread(target=self.serve_forever, args=(0.02,), name="simulated-vault", daemon=True)

    def start(self) -> None:
        """Accept connections."""
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; the handshake waits for its thread."""
        link, address = super().get_request()
        if self._tls is not None:
            link = self._tls.wrap_socket(link, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._count += 1
            self._open[link] = self._count
        return link, address

    def number_of(self, link: socket.socket) -> int:
        """Say the how many-th connection this is."""
        with self._lock:
            return self._open.get(link, 0)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as socketserver has it
        """Let go of a client that went away, or never meant it; nothing is printed."""

    def refuse(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.socket.close()

    def stop(self) -> None:
        """Cut all connections and leave no thread behind. Repeat: nothing happens."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.refuse()
        with self._lock:
            for link in self._open:
                _cut(link)
        self.server_close()
        self._thread.join()


def _cut(link: socket.socket) -> None:
    try:
        socket.socket.shutdown(link, socket.SHUT_RDWR)
    except OSError:
        return
