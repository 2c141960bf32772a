"""A service in memory with real servers in front of it, and how to ask them."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rotator.cli.answering import Desk
from rotator.references import FileReference
from rotator.service.gauges import Metrics
from rotator.service.health import Pulse
from rotator.service.lobby import Limits
from rotator.service.probes import routes
from rotator.service.reload import Source
from rotator.service.server import USUAL, Server
from rotator.service.service import Service
from rotator.service.web import Route, Site
from rotator.settings import ListenSettings
from tests.service.world import Street

LOOPBACK = ListenSettings(port=0)


@dataclass(frozen=True)
class Found:
    """An answer."""

    status: int
    content: bytes
    headers: dict[str, str]

    @property
    def body(self) -> str:
        """What came, as text."""
        return self.content.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """What came, as JSON."""
        return json.loads(self.content)


def ask(
    url: str,
    path: str,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
    body: Any = None,  # noqa: ANN401 - JSON
    **headers: str,
) -> Found:
    """Ask once, on a connection of its own; names of headers are written with ``_`` for ``-``."""
    scheme, _, place = url.partition("://")
    made: http.client.HTTPConnection
    if scheme == "https":
        made = http.client.HTTPSConnection(place, timeout=20, context=context)
    else:
        made = http.client.HTTPConnection(place, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
    try:
        made.request(method, path, body=sent, headers=given)
        answer = made.getresponse()
        return Found(answer.status, answer.read(), {key.lower(): it for key, it in answer.getheaders()})
    finally:
        made.close()


@dataclass
class House:
    """A service whose clock is turned, and servers in front of it."""

    street: Street
    service: Service
    metrics: Metrics
    pulse: Pulse
    closing: ExitStack
    servers: list[Server]
    bugs: list[Exception] = field(default_factory=list)

    @property
    def desk(self) -> Desk:
        """What `rotate serve` answers with."""
        street = self.street
        machines = routes(lambda: self.service.board.standing, self.pulse, self.metrics.registry, street.clock.now)
        return Desk(Source(street.path, street.load), self.service, machines, street.clock, self.bugs.append)

    def open(self, listen: ListenSettings = LOOPBACK, limits: Limits = USUAL, **more: Route) -> str:
        """Answer somewhere as `rotate serve` does; return where."""
        site = self.desk.site(listen)
        extra = {f"/{name}": route for name, route in more.items()}
        return self.serve(
            Site({**site.routes, **extra}, site.caught, site.gate, site.sessions, site.names), listen, limits
        )

    def serve(self, site: Site, listen: ListenSettings = LOOPBACK, limits: Limits = USUAL) -> str:
        """Answer somewhere; return where."""
        server = Server(listen, site, limits)
        server.start()
        self.servers.append(server)
        return server.url

    def keep(self, token: str) -> FileReference:
        """Write a token into a file; return the reference to it."""
        path = Path(self.street.folder / "page-token")
        path.write_text(token, encoding="utf-8")
        path.chmod(0o600)
        return FileReference(path)
