"""Rotating now, for a button or a script: it only notes the wish, and the service does it on its own timetable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from rotator.model import Request
from rotator.service.standing import Standing
from rotator.service.web import Access, Answer, Asked, Route, plain

ROTATE = "/api/v1/rotate"
SCRIPT = "bearer token"
"""Who asked, where no browser has logged in."""


class Ask(Protocol):
    """Notes a wish, as ``Service.ask`` does; False when there is no credential of that name."""

    def __call__(self, name: str, request: Request, /, *, who: str) -> bool:
        """Note it."""
        ...


def routes(standing: Callable[[], Standing], ask: Ask) -> Mapping[str, Route]:
    """Return the path for wishes."""

    def rotate(asked: Asked) -> Answer:
        name, now = wanted(asked.body()), standing()
        if name not in now.credentials:
            return plain(HTTPStatus.NOT_FOUND, why="no such credential")
        if refusal := obstacle(now, name):
            return plain(HTTPStatus.CONFLICT, why=refusal)
        who = f"session {asked.session.id}" if asked.session else SCRIPT
        if not ask(name, Request(forced=True), who=who):
            return plain(HTTPStatus.NOT_FOUND, why="no such credential")
        return Answer(HTTPStatus.ACCEPTED, json.dumps({"credential": name, "who": who}).encode())

    return {ROTATE: Route(rotate, Access.PROVEN, ("POST",))}


def obstacle(standing: Standing, name: str) -> str:
    """Say what keeps us from rotating a credential now; "" if nothing does."""
    if standing.is_stopping:
        return "the service is stopping"
    if not standing.leadership.leads:
        return f"this instance stands by; {standing.leadership.holder or 'another one'} leads"
    return "it is being rotated just now" if name in standing.at_work else ""


def wanted(body: bytes) -> str:
    """Read whom a wish is about: ``{"credential": "..."}``."""
    try:
        found = json.loads(body)["credential"]
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""
