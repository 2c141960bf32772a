"""How a browser logs in: the token is shown once, and a cookie stands for it from then on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from rotator.service.gate import Gate
from rotator.service.sessions import Sessions
from rotator.service.web import Access, Answer, Asked, Route, unknown

LOGIN, LOGOUT, SESSION = "/api/v1/login", "/api/v1/logout", "/api/v1/session"


def routes(gate: Gate, sessions: Sessions) -> Mapping[str, Route]:
    """Return the paths to log in, to log out, and to ask what goes with each wish."""

    def login(asked: Asked) -> Answer:
        if not gate.knows(shown(asked.body())):
            return unknown(gate.guesses, why="this is not the token")
        return Answer(HTTPStatus.NO_CONTENT, headers=(("Set-Cookie", sessions.open(gate.mark())),))

    def logout(asked: Asked) -> Answer:
        if asked.session is None:
            return Answer(HTTPStatus.NO_CONTENT)
        return Answer(HTTPStatus.NO_CONTENT, headers=(("Set-Cookie", sessions.close(asked.session)),))

    def session(asked: Asked) -> Answer:
        known = {"id": asked.session.id, "csrf": asked.session.csrf} if asked.session else {}
        return Answer(HTTPStatus.OK, json.dumps(known).encode())

    return {
        LOGIN: Route(login, Access.PUBLIC, ("POST",)),
        LOGOUT: Route(logout, Access.PROVEN, ("POST",)),
        SESSION: Route(session, Access.PROVEN),
    }


def shown(body: bytes) -> bytes:
    """Read the token out of what a form sends: ``{"token": "..."}``."""
    try:
        found = json.loads(body)["token"]
    except (ValueError, KeyError, TypeError):
        return b""
    return found.encode(errors="replace") if isinstance(found, str) else b""
