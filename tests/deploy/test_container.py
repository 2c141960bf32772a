"""What the image says of its health, asked of a service on this machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

DOCKERFILE = Path(__file__).parents[2] / "deploy" / "container" / "Dockerfile"
DEAD = "http://127.0.0.1:9"
PROXIES = {"HTTP_PROXY": DEAD, "http_proxy": DEAD, "ALL_PROXY": DEAD}


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer with a status at a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_image_asks_the_service_itself_whatever_proxy_there_is(status: int, code: int) -> None:
    """Docker gives containers the proxies of its user: one of them would say that a service which is well is not."""
    (told,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    _, *words = json.loads(told)
    with answering(status) as port:
        asked = [word.replace("9105", str(port)) for word in words]
        done = subprocess.run([sys.executable, *asked], env=PROXIES, timeout=60, check=False)  # noqa: S603 - the image's
    assert done.returncode == code
