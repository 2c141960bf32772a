"""What is answered over HTTP, as a WSGI application: who may ask for what, and how it is wrapped.

Whoever adds a page adds a ``Route``; what a request must show, the methods and the headers are seen to here. Not taken:
a web framework, for a dozen paths that take no parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse

from rotator.service.gate import Gate
from rotator.service.guesses import REST, Guesses
from rotator.service.hosts import is_ours, is_same_origin
from rotator.service.sessions import Session, Sessions

Environ = dict[str, Any]
"""A request, as WSGI hands it over."""
JSON = "application/json"
LARGEST_BODY = 4096
BODILESS = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
"""Nothing follows, and no length is told."""
HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
"""On every answer; a page that needs others gives a header of the same name."""


class Access(Enum):
    """Who may ask. Probes can show no token; but for them everybody must ask for us by a name of ours."""

    OPEN = "everybody, by whatever name"
    PUBLIC = "everybody"
    GUARDED = "who has shown the token, where one is configured"
    PROVEN = "who has shown the token"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the browser that made it if that has logged in; ``is_proven`` if the token was shown."""

    environ: Environ = field(repr=False)
    session: Session | None = None
    is_proven: bool = False

    def header(self, name: str) -> str:
        """Return a header, "" if there is none."""
        return str(self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))

    def body(self) -> bytes:
        """Read what came with it, up to a few thousand bytes."""
        length = self.environ.get("CONTENT_LENGTH") or "0"
        return bytes(self.environ["wsgi.input"].read(min(int(length), LARGEST_BODY)))


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: HTTPStatus
    body: bytes = b""
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One path. Who may not see it is sent to the path ``otherwise``, if that is given."""

    answer: Callable[[Asked], Answer]
    access: Access = Access.GUARDED
    methods: tuple[str, ...] = ("GET", "HEAD")
    otherwise: str = ""


@dataclass(frozen=True)
class Site:
    """The application. Without a gate there is no token, and nothing is guarded; ``caught`` is told of bugs."""

    routes: Mapping[str, Route]
    caught: Callable[[Exception], None]
    gate: Gate | None = None
    sessions: Sessions | None = None
    names: tuple[str, ...] = ()

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        answer = self.answered(environ)
        about = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        own = {**({} if answer.status in BODILESS else about), **dict(answer.headers)}
        start(f"{answer.status.value} {answer.status.phrase}", list({**dict(HEADERS), **own}.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def answered(self, environ: Environ) -> Answer:
        """Find the answer; a bug is one, too."""
        route = self.routes.get(environ["PATH_INFO"])
        if route and route.access is not Access.OPEN and not is_ours(environ.get("HTTP_HOST", ""), self.names):
            return plain(HTTPStatus.MISDIRECTED_REQUEST, why="names of ours are listed in service.hosts")
        if route is None:
            return plain(HTTPStatus.NOT_FOUND)
        if environ["REQUEST_METHOD"] not in route.methods:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", ", ".join(route.methods)))
        try:
            asked = self._asked(environ)
            return self._refusal(route, asked) or route.answer(asked)
        except Exception as error:  # noqa: BLE001 - a bug in a page ends neither the thread nor the service
            self.caught(error)
            return plain(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _asked(self, environ: Environ) -> Asked:
        """Find out who asks; whoever shows a token is judged by that alone."""
        if self.gate is None:
            return Asked(environ)
        if header := environ.get("HTTP_AUTHORIZATION", ""):
            return Asked(environ, is_proven=self.gate.admits(header))
        cookie = environ.get("HTTP_COOKIE", "")
        session = self.sessions.find(cookie, self.gate.mark()) if self.sessions and cookie else None
        return Asked(environ, session, is_proven=session is not None)

    def _refusal(self, route: Route, asked: Asked) -> Answer | None:
        is_guarded = route.access is Access.PROVEN or (route.access is Access.GUARDED and self.gate is not None)
        if is_guarded and not asked.is_proven:
            if route.otherwise:
                return plain(HTTPStatus.SEE_OTHER, ("Location", route.otherwise))
            return unknown(self.gate.guesses if self.gate and asked.header("Authorization") else None)
        return forgery(route, asked) if asked.environ["REQUEST_METHOD"] == "POST" else None


def forgery(route: Route, asked: Asked) -> Answer | None:
    """Refuse a wish that another site may have made a browser utter; None if it is none.

    Whoever shows the token itself is no browser that was tricked. A browser says in ``Origin`` who asks, sends no JSON
    for another site, and only our page knows what is shown in ``X-CSRF-Token``.
    """
    if asked.is_proven and asked.session is None and not asked.header("Origin"):
        return None
    if asked.session and route.access is not Access.PUBLIC and not asked.session.permits(asked.header("X-CSRF-Token")):
        return plain(HTTPStatus.FORBIDDEN, why="X-CSRF-Token is not that of this session")
    return foreign(asked)


def foreign(asked: Asked) -> Answer | None:
    """Refuse what does not come from a page of ours, or not as JSON."""
    if not is_same_origin(asked.environ):
        return plain(HTTPStatus.FORBIDDEN, why="another site asks")
    if asked.environ.get("CONTENT_TYPE", "").partition(";")[0].strip() != JSON:
        return plain(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return None


def unknown(guesses: Guesses | None = None, *, why: str = "") -> Answer:
    """Refuse who has not shown the token; ``guesses`` where another one was shown."""
    if guesses and guesses.are_many:
        wait = ("Retry-After", str(round(REST)))
        return plain(HTTPStatus.TOO_MANY_REQUESTS, wait, why="too many wrong tokens; the right one is let in at once")
    return plain(HTTPStatus.UNAUTHORIZED, ("WWW-Authenticate", 'Bearer realm="rotate"'), why=why)


def plain(status: HTTPStatus, *headers: tuple[str, str], why: str = "") -> Answer:
    """Answer with nothing but a status, and why."""
    said = f"{status.phrase.lower()}: {why}" if why else status.phrase.lower()
    return Answer(status, f"{said}\n".encode(), "text/plain; charset=utf-8", headers)
