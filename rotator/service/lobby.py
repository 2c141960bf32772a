"""Where connections wait until they say something, and who holds a thread for too long.

cheroot gives a new connection to a thread at once, which then waits for its first word: as many silent clients as there
are threads keep everybody out. Here a connection waits with the idle ones, which cost no thread, until there is
something to read; from then on it has so long to say what it wants, and so long to take the answer, however slowly it
trickles. When every thread is held the slow have to hurry.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from threading import get_ident
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from cheroot.connections import ConnectionManager
from cheroot.server import HTTPConnection

NO_BODY = (None, "", "0")


@dataclass(frozen=True, slots=True)
class Limits:
    """Of what clients may take, in seconds unless it says otherwise."""

    threads: int = 16
    connections: int = 256
    """At one time; for one more the one goes that has been idle longest."""
    idle: float = 10.0
    """Without a word."""
    request: float = 5.0
    """For a request, handshake and all, from its first byte."""
    hurried: float = 1.0
    """The same when every thread is held."""
    answer: float = 20.0
    """To take the answer."""
    tick: float = 0.5
    """Between two looks at all this."""


@dataclass(slots=True)
class Hold:
    """A thread that a connection holds."""

    connection: Any
    since: float
    is_heard: bool = False


class Lobby(ConnectionManager):
    """Keeps the connections of one server. Its own thread runs it; threads that answer tell it when they begin."""

    _selector: Any  # cheroot's own, like the methods that are replaced here; its types leave them out

    def __init__(self, server: Any, limits: Limits) -> None:  # noqa: ANN401 - cheroot's
        super().__init__(server)
        self._limits = limits
        self._holds: dict[int, Hold] = {}

    def begin(self, connection: object) -> None:
        """Note that this thread waits for a request."""
        self._holds[get_ident()] = Hold(connection, time.monotonic())

    def heard(self) -> None:
        """Note that this thread has got its request."""
        if hold := self._holds.get(get_ident()):
            hold.since, hold.is_heard = time.monotonic(), True

    def end(self) -> None:
        """Note that this thread is free."""
        self._holds.pop(get_ident(), None)

    def _from_server_socket(self, server_socket: socket.socket) -> None:
        """Let a connection in; it waits until it says something."""
        if (connection := super()._from_server_socket(server_socket)) is not None:  # type: ignore[misc] # see above
            self._make_room()
            self.put(connection)

    def _make_room(self) -> None:
        waiting = [(it.last_used, number, it) for number, it in self._selector.connections if it is not self.server]
        if len(waiting) + len(self._holds) >= self._limits.connections and waiting:
            _, number, oldest = min(waiting, key=lambda it: it[:2])
            self._selector.unregister(number)
            oldest.close()

    def _expire(self, threshold: float) -> None:
        """End what has been idle for too long, and what has taken too long; called at each tick."""
        super()._expire(threshold)  # type: ignore[misc] # see above
        is_full = len(self._holds) >= self._limits.threads
        for hold in list(self._holds.values()):
            if time.monotonic() - hold.since > self._patience(hold, is_full=is_full):
                with suppress(OSError):  # it may have ended by itself
                    socket.socket.shutdown(hold.connection.socket, socket.SHUT_RDWR)

    def _patience(self, hold: Hold, *, is_full: bool) -> float:
        if hold.is_heard:
            return self._limits.answer
        return self._limits.hurried if is_full else self._limits.request


class Connection(HTTPConnection):
    """A connection that tells the lobby while it holds a thread."""

    def communicate(self) -> bool:
        """Answer one request; say whether the connection stays."""
        self.server.lobby.begin(self)
        try:
            return bool(super().communicate())  # type: ignore[no-untyped-call] # cheroot's
        finally:
            self.server.lobby.end()


def listening(lobby: Lobby, application: WSGIApplication) -> WSGIApplication:
    """Make an application that is called when the whole request is there."""

    def heard(environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH")
        environ["wsgi.input"] = io.BytesIO(b"" if length in NO_BODY else environ["wsgi.input"].read())
        lobby.heard()
        return application(environ, start)

    return heard
