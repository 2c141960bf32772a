"""A receiver of webhooks on loopback, over real TLS, that verifies as the standard says and answers as a test wants."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

CA = trustme.CA()


@dataclass
class Receiver:
    """What came, and what is answered next: a status, ``drip``, ``drip on`` or ``hang up``; then 204."""

    secret: str
    url: str = ""
    answers: list[int | str] = field(default_factory=list)
    came: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    """Set once anything came."""

    def verify(self, headers: dict[str, str], body: bytes) -> bool:
        """Verify a signature, as any library of the standard does."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(wanted, headers["webhook-signature"])


def secret_of(canary: str) -> str:
    """Make a secret in which the canary can be found."""
    return "whsec_" + base64.b64encode(canary.encode()).decode()


class Handler(BaseHTTPRequestHandler):
    """Takes one notice."""

    server: Server

    def do_POST(self) -> None:
        """Note it, and answer as planned."""
        body, receiver = self.rfile.read(int(self.headers["Content-Length"])), self.server.receiver
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = receiver.answers.pop(0) if receiver.answers else 204
        receiver.headers.append(headers)
        receiver.paths.append(self.path)
        receiver.arrived.set()
        if receiver.verify(headers, body):
            receiver.came.append(json.loads(body))
        self.drip(answer) if answer in {"drip", "drip on"} else self.answer(answer)

    def answer(self, answer: int | str) -> None:
        """Answer a status, or nothing."""
        if isinstance(answer, int):
            self.send_response(answer)
            self.send_header("Location", f"{self.server.receiver.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def drip(self, answer: int | str) -> None:
        """Answer a byte at a time, until the server ends; ``drip on``: after the status."""
        if answer == "drip on":
            self.send_response(200)
            self.send_header("Content-Length", "4096")
            self.end_headers()
        while not self.server.stop.wait(0.05):
            self.wfile.write(b"H")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Answers for a receiver."""

    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.receiver = receiver
        self.stop = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Bear a client that hangs up: it is what a test wants."""


@contextmanager
def receiving(secret: str, name: str = "127.0.0.1") -> Iterator[Receiver]:
    """Run one whose certificate is for a name."""
    receiver = Receiver(secret)
    server = Server(receiver)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(name).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    receiver.url = f"https://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def authority(folder: Path) -> Path:
    """Write the certificate of who vouches for them."""
    path = folder / "ca.pem"
    CA.cert_pem.write_to_path(path)
    return path
