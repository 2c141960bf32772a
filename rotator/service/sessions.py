"""Browsers that have shown the token: a cookie stands for it from then on. In memory only; a restart ends them all."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from threading import Lock

from rotator.clock import Clock

COOKIE = "__Host-rotate"
"""With this prefix a browser takes it over TLS (or from loopback) only, and gives it to no other host."""
IDLE = 3600.0
"""Seconds after the last question of a page; an open one asks every few seconds."""
LONGEST = 12 * 3600.0
MOST = 100
"""So many at one time; one more ends the oldest."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that was let in. ``csrf`` must come with each wish, in a header that other sites cannot set."""

    id: str
    """What it is called in what is told of it; it opens nothing."""
    csrf: str = field(repr=False)
    mark: str = field(repr=False)
    """Of the token that was shown; another token ends the session."""
    opened: float
    used: float

    def permits(self, shown: str) -> bool:
        """Say whether a request shows what only our own page knows."""
        return hmac.compare_digest(shown.encode("latin-1", "replace"), self.csrf.encode())


class Sessions:
    """All of them, by a hash of what the cookie holds. Any thread may call it."""

    def __init__(self, clock: Clock, draw: Callable[[], str] = secrets.token_urlsafe) -> None:
        self._clock = clock
        self._draw = draw
        self._open: dict[str, Session] = {}
        self._lock = Lock()

    def open(self, mark: str) -> str:
        """Let a browser in that has shown the token; return the header that gives it its cookie."""
        key, now = self._draw(), self._clock.monotonic()
        session = Session(secrets.token_hex(4), self._draw(), mark, now, now)
        with self._lock:
            self._sweep()
            for oldest in list(self._open)[: max(0, len(self._open) - MOST + 1)]:
                del self._open[oldest]
            self._open[_hashed(key)] = session
        return _cookie(key)

    def find(self, header: str, mark: str) -> Session | None:
        """Return the session that a ``Cookie`` header shows, while it lasts and the token is still the same."""
        key = _hashed(_shown(header))
        with self._lock:
            self._sweep()
            session = self._open.get(key)
            if session is None or not mark or not hmac.compare_digest(session.mark, mark):
                return None
            self._open[key] = replace(session, used=self._clock.monotonic())
            return session

    def close(self, session: Session) -> str:
        """End a session; return the header that takes the cookie away. Repeat: nothing more happens."""
        with self._lock:
            self._open = {key: it for key, it in self._open.items() if it.id != session.id}
        return f"{_cookie('')}; Max-Age=0"

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        lasting = ((key, it) for key, it in self._open.items() if now - it.used < IDLE and now - it.opened < LONGEST)
        self._open = dict(lasting)


def _cookie(value: str) -> str:
    return f"{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict"


def _shown(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _hashed(key: str) -> str:
    return sha256(key.encode()).hexdigest()
