"""``rotate serve`` over HTTP: which addresses it answers at, and what is answered at each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rotator.cli.voice import say, warn
from rotator.clock import Clock
from rotator.errors import ConfigError
from rotator.model import Secret
from rotator.references import SecretReference, resolve
from rotator.settings import ListenSettings

if TYPE_CHECKING:
    from rotator.service.reload import Source
    from rotator.service.service import Service
    from rotator.service.web import Route, Site

STATUS = "/api/v1/status"


@dataclass(frozen=True)
class Desk:
    """What answers are made of. ``machines`` are the paths for probes and metrics; ``caught`` is told of bugs."""

    source: Source
    service: Service
    machines: Mapping[str, Route]
    clock: Clock
    caught: Callable[[Exception], None]

    def site(self, listen: ListenSettings) -> Site:
        """Put everything together that is answered at the usual address.

        Raises: ``ConfigError`` for a token that could be guessed.
        """
        from rotator.service import assets, button, entrance  # noqa: PLC0415 - with the libraries of the extra
        from rotator.service.gate import Gate  # noqa: PLC0415 - see above
        from rotator.service.sessions import Sessions  # noqa: PLC0415 - see above
        from rotator.service.sheet import Sheet  # noqa: PLC0415 - see above
        from rotator.service.web import Route, Site  # noqa: PLC0415 - see above

        token, board = listen.token, self.service.board
        gate = Gate(lambda: self._read(token), self.clock) if token else None
        if gate:
            gate.check()
        sessions = Sessions(self.clock)
        offers, needs = listen.offers_rotation, gate is not None
        sheet = Sheet(lambda: board.standing, self.clock, offers_rotation=offers, needs_token=needs)
        routes = {
            **self.machines,
            **assets.routes(),
            STATUS: Route(sheet.answer),
            **(entrance.routes(gate, sessions) if gate else {}),
            **(button.routes(lambda: board.standing, self.service.ask) if offers else {}),
        }
        return Site(routes, self.caught, gate, sessions, listen.hosts)

    def _read(self, token: SecretReference) -> Secret:
        return resolve(token, environ=os.environ, backends=self.source.settings.backends)


@contextmanager
def answering(desk: Desk) -> Iterator[None]:
    """Answer as the configuration says.

    Raises: ``ConfigError`` when an address that it names cannot be had; without the usual one the service does.
    """
    settings = desk.source.settings.service
    with ExitStack() as closing:
        if settings.listen:
            _open_page(desk, settings.listen, closing)
        if settings.probes:
            from rotator.service.probes import opened  # noqa: PLC0415 - with the libraries of the extra
            from rotator.service.web import Site  # noqa: PLC0415 - see above

            listen = ListenSettings(settings.probes.host, settings.probes.port)
            _open(listen, Site(opened(desk.machines), desk.caught), closing, "probes and metrics are")
        yield


def _open_page(desk: Desk, listen: ListenSettings, closing: ExitStack) -> None:
    try:
        _open(listen, desk.site(listen), closing, "answering")
    except ConfigError as error:
        if listen.is_configured:
            raise
        warn(f"rotate: no status page, no /metrics and no /healthz: {error.message}; {error.hint}")


def _open(listen: ListenSettings, site: Site, closing: ExitStack, what: str) -> None:
    from rotator.service.server import Server  # noqa: PLC0415 - with the libraries of the extra

    server = Server(listen, site)
    server.start()
    closing.callback(server.close)
    say(f"rotate: {what} at {server.url}")
