"""A Pushgateway on loopback that keeps what it is pushed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NO_HTTP = 0
"""The status of something else that listens there."""


@dataclass
class Gateway:
    """A Pushgateway, as far as pushing goes."""

    status: int = 200
    pushed: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def listening() -> Iterator[Gateway]:
    """Give one that listens on loopback."""
    made = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            made.pushed.append((self.command, self.path, body))
            if made.status == NO_HTTP:
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                return
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made
        server.shutdown()
        thread.join()
