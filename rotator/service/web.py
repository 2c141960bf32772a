"""What is answered over HTTP, as a WSGI application: who may ask for what, and how it is wrapped.

Whoever adds a page adds a ``Route``; what a request must show, the methods and the headers are seen to here. Not taken:
a web framework, for three paths that take no parameters.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any
from wsgiref.types import StartResponse

from rotator.clock import Clock
from rotator.errors import RotatorError
from rotator.model import Secret

Environ = dict[str, Any]
"""A request, as WSGI hands it over."""
MEMORY = 60.0
"""Seconds for which the bearer token is not asked for again."""
HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
"""On every answer; a page that needs others gives a header of the same name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    body: bytes
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One path. ``is_open`` is True for what needs no token: probes have none."""

    answer: Callable[[Environ], Answer]
    is_open: bool = False
    methods: tuple[str, ...] = ("GET", "HEAD")


class Gate:
    """Knows the bearer token that must be shown. What ``read`` gets is kept for a minute: nobody can make us ask.

    While it cannot be read the one that was known holds on; where none was, nobody comes in.
    """

    def __init__(self, read: Callable[[], Secret], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._known: Secret | None = None
        self._since: float | None = None

    def admits(self, header: str) -> bool:
        """Say whether an ``Authorization`` header shows the token; takes as long for a wrong one as for a right one."""
        known = self._current()
        scheme, _, shown = header.partition(" ")
        if known is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(shown.strip().encode("latin-1", "replace"), known.reveal().encode())

    def _current(self) -> Secret | None:
        with self._lock:
            now = self._clock.monotonic()
            if self._since is None or now - self._since >= MEMORY:
                self._since = now
                try:
                    self._known = self._read()
                except RotatorError:
                    return self._known
            return self._known


class Site:
    """The application. Without a gate everybody may read everything; ``caught`` is told of bugs."""

    def __init__(self, routes: Mapping[str, Route], gate: Gate | None, caught: Callable[[Exception], None]) -> None:
        self._routes = routes
        self._gate = gate
        self._caught = caught

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        answer = self.answered(environ)
        own = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), **dict(answer.headers)}
        start(f"{answer.status.value} {answer.status.phrase}", list({**dict(HEADERS), **own}.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def answered(self, environ: Environ) -> Answer:
        """Find the answer; a bug is one, too."""
        route = self._routes.get(environ["PATH_INFO"])
        if route is None:
            return plain(HTTPStatus.NOT_FOUND)
        if environ["REQUEST_METHOD"] not in route.methods:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", ", ".join(route.methods)))
        try:
            if self._gate and not route.is_open and not self._gate.admits(environ.get("HTTP_AUTHORIZATION", "")):
                return plain(HTTPStatus.UNAUTHORIZED, ("WWW-Authenticate", 'Bearer realm="rotate"'))
            return route.answer(environ)
        except Exception as error:  # noqa: BLE001 - a bug in a page ends neither the thread nor the service
            self._caught(error)
            return plain(HTTPStatus.INTERNAL_SERVER_ERROR)


def plain(status: HTTPStatus, *headers: tuple[str, str]) -> Answer:
    """Answer with nothing but a status."""
    return Answer(status, f"{status.phrase.lower()}\n".encode(), "text/plain; charset=utf-8", headers)
