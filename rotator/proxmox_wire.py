"""One HTTP request to one endpoint and its answer, with what is known when none comes.

``http.client`` and nothing above it: whether a request *was sent* decides between "nothing happened" and "it may have
happened", and requests and urllib3 blur just that (a time-out in the TLS handshake and one after sending are the same
``ReadTimeout``; a reset likewise). They also bring what must not happen here: cookies that outrank the token,
``.netrc``, proxies from the environment, redirects, repeats. Here are four steps, connect, check, send, receive, and
each of our errors belongs to one side of "send".
"""

from __future__ import annotations

import http.client
import re
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from rotator.errors import ConfigError, RotatorError, UnavailableError
from rotator.proxmox_answer import Call, silence
from rotator.proxmox_tls import HTTPS, Obstacle, TlsTrust, explain
from rotator.record import Sealed

DEFAULT_PORT = 8006
FOREIGN = (OSError, http.client.HTTPException)
"""All that socket, ssl and http.client raise; a ValueError of theirs is kept away by checking what we send."""

_ADDRESS = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[A-Za-z0-9_](?:[\w.-]*\w)?))(?::(?P<port>\d{1,5}))?", re.ASCII
)
_KEPT = 8
_ENDED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
_READY_FOR = 3.0
"""Seconds for which a connection that was made ready is used: PVE closes one after 5 s without a request (measured)."""

_LOOK_AT_NETWORK = "is the node up, and does a firewall let us through to its port?"


class NotConnectedError(UnavailableError):
    """No connection came about: nothing was sent, so that a change may go to another endpoint.

    ``code`` is what ``rotate explain`` knows the cause by.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "no-answer") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class NotAnsweredError(UnavailableError):
    """A read was sent, and no whole answer came in time."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent for a call."""

    call: Call
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. The names are those proxmoxer looks for; it logs ``content``, which therefore hides itself."""

    status_code: int
    reason: str
    content: Sealed
    date: str | None


class Endpoint:
    """One node's API port. Several threads may use it: a connection belongs to one request at a time.

    ``connect`` bounds the TCP connection and again the handshake, ``read`` all the rest, however slowly it drips.
    """

    def __init__(
        self,
        address: str,
        trust: TlsTrust,
        *,
        connect: timedelta,
        read: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host, self.port = _parse(address)
        self._trust = trust
        self._context = trust.context()
        self._connect_timeout = connect.total_seconds()
        self._read_timeout = read.total_seconds()
        self._monotonic = monotonic
        self._kept: list[http.client.HTTPSConnection] = []
        self._ready: deque[tuple[float, http.client.HTTPSConnection]] = deque()

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def exchange(self, request: Request) -> Answer:
        """Send a request and read the whole answer, whatever its status.

        A change goes out on a connection of its own, once: one that was made ready a moment ago, or a fresh one. A
        read may use a kept connection, and is sent again on a
        fresh one when that turns out to be closed (PVE: after 5 s, 100 requests, or with its worker).
        Raises: ``NotConnectedError``; then ``OutcomeUnknownError`` for a change, ``UnavailableError`` for a read.
        """
        if request.call.method == "GET" and (kept := self._take()) and (answer := self._resume(kept, request)):
            return answer
        connection = (self._take_ready() if request.call.method != "GET" else None) or self._connect()
        try:
            return self._converse(connection, request)
        except FOREIGN as error:
            connection.close()
            raise self.broken(error, request.call) from None

    def make_ready(self) -> None:
        """Connect for a change that is to come, so that it need not do so while others wait for it.

        Where that fails nothing happens: the change finds out for itself. What nobody has used is let go of.
        """
        with suppress(IndexError):  # where another thread takes the last one meanwhile, there is nothing to let go of
            while self._monotonic() - self._ready[0][0] >= _READY_FOR:
                self._ready.popleft()[1].close()
        with suppress(NotConnectedError):
            self._ready.append((self._monotonic(), self._connect()))

    def close(self) -> None:
        """Let go of the kept connections."""
        while kept := self._take():
            kept.close()
        with suppress(IndexError):
            while True:
                self._ready.pop()[1].close()

    def _take_ready(self) -> http.client.HTTPSConnection | None:
        """Take a connection that was made ready, unless PVE may have closed it already: then nothing is known."""
        with suppress(IndexError):
            while True:
                made, connection = self._ready.popleft()
                if self._monotonic() - made < _READY_FOR and not _is_closed(connection):
                    return connection
                connection.close()
        return None

    def _take(self) -> http.client.HTTPSConnection | None:
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self.host, self.port, timeout=self._connect_timeout, context=self._context
        )
        connection.set_debuglevel(0)  # or a global http.client.HTTPConnection.debuglevel prints our credential
        try:
            connection.connect()
            self._trust.check(_socket(connection).getpeercert(binary_form=True))
        except (OSError, UnicodeError) as error:
            connection.close()
            raise self.unreached(error) from None
        return connection

    def _resume(self, kept: http.client.HTTPSConnection, request: Request) -> Answer | None:
        """Use a kept connection; None when it turns out to be closed. A time-out is not waited for twice."""
        try:
            return self._converse(kept, request)
        except FOREIGN as error:
            kept.close()
            if isinstance(error, TimeoutError):
                raise self.broken(error, request.call) from None
            return None

    def _converse(self, connection: http.client.HTTPSConnection, request: Request) -> Answer:
        _socket(connection).settimeout(self._read_timeout)
        connection.request(request.call.method, request.target, request.body, dict(request.headers))
        response = connection.getresponse()
        answer = Answer(
            status_code=response.status,
            reason=response.reason,
            content=Sealed(response.read().decode("utf-8", "replace")),
            date=response.headers["Date"],
        )
        is_over = response.status >= HTTPStatus.OK  # what is said before an answer (1xx) is not the last of it
        if response.will_close or not is_over or len(self._kept) >= _KEPT:
            connection.close()
        else:
            self._kept.append(connection)
        return answer

    def unreached(self, error: Exception) -> NotConnectedError:
        """Name the reason why no connection came about."""
        code, what, hint = self._why(error)
        more = f"{hint}; more: rotate explain {code}"
        return NotConnectedError(f"cannot connect to {self}: {what}", hint=more, code=code)

    def _why(self, error: Exception) -> Obstacle:
        if isinstance(error, ssl.SSLError):
            return explain(error, self.host, self.port, self._connect_timeout)
        if isinstance(error, (socket.gaierror, UnicodeError)):
            return Obstacle("name-unresolved", "the name does not resolve", "check the endpoint's host name, and DNS")
        if isinstance(error, ConnectionRefusedError):
            hint = "does pveproxy run there? PVE's API listens on port 8006"
            return Obstacle("connection-refused", "connection refused", hint)
        if isinstance(error, TimeoutError):
            return Obstacle("no-answer", f"no answer within {self._connect_timeout:g} s", _LOOK_AT_NETWORK)
        if isinstance(error, ConnectionError):
            return Obstacle("wrong-port", "it closed the connection during the TLS handshake", HTTPS)
        return Obstacle("no-answer", getattr(error, "strerror", None) or type(error).__name__, _LOOK_AT_NETWORK)

    def broken(self, error: Exception, call: Call) -> RotatorError:
        """Name what is known when a request was sent and its answer did not come whole."""
        too_late = isinstance(error, TimeoutError)
        broke = f"the connection broke before the answer was whole ({type(error).__name__})"
        what = f"no whole answer within {self._read_timeout:g} s" if too_late else broke
        known = silence(call, f"{call}: {what}")
        return NotAnsweredError(known.message, hint=known.hint) if isinstance(known, UnavailableError) else known


def _is_closed(connection: http.client.HTTPSConnection) -> bool:
    """Say whether the other side has ended it, as far as the system tells (Linux does).

    To read would not do: TLS tickets that nobody has read yet lie before the end.
    """
    poll = select.poll()
    poll.register(_socket(connection), _ENDED)
    return bool(poll.poll(0))


def _socket(connection: http.client.HTTPSConnection) -> Any:  # noqa: ANN401 - http.client types it as a plain socket or None
    return connection.sock


def _parse(address: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(address)
    port = int(match["port"] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:  # noqa: PLR2004 - the end of the port numbers
        raise ConfigError(f"not an endpoint: {address!r}", hint="give host, host:port or [IPv6 address]:port")
    return match["v6"] or match["host"], port
