"""PVE as a stranger or a consumer meets it: who answers at an address, and what comes of what a consumer shows.

Nothing here changes anything: a visit is a GET, or a login. Plain HTTP is only ever spoken without a credential.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from rotator.errors import UnavailableError
from rotator.model import Secret
from rotator.proxmox_answer import ANYTHING, LOGIN, Call, read, sentence
from rotator.proxmox_clock import date_of
from rotator.proxmox_rows import text
from rotator.proxmox_tls import TlsTrust, look
from rotator.proxmox_wire import FOREIGN, Answer, Endpoint, NotConnectedError, Request
from rotator.pve import Greeting

API = "/api2/json"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_OPEN = "/access/domains"
_DAEMONS = {595: "daemon-down", 596: "daemon-slow"}


@dataclass(frozen=True, slots=True)
class Response:
    """What came of a visit: a status with PVE's sentence; the location of a redirect."""

    status: int
    said: str = ""
    location: str = ""


def greet(endpoint: Endpoint, cluster: str) -> Greeting:
    """Look who answers at an endpoint, showing nothing."""
    call = Call(cluster, str(endpoint), "GET", _OPEN, "nobody")
    try:
        answer = endpoint.exchange(Request(call, f"{API}{_OPEN}", {}))
    except NotConnectedError as error:
        is_about_certificate = error.code.startswith("certificate")
        seen = look(endpoint.host, endpoint.port, _LOOK) if is_about_certificate else ""
        return Greeting(code=error.code, message=str(error), fingerprint=seen)
    except UnavailableError as error:
        return Greeting(code="no-answer", message=str(error))
    return _understood(answer)


_LOOK = 5.0
"""Seconds to look at a certificate once more."""


def _understood(answer: Answer) -> Greeting:
    if answer.status_code in _DAEMONS:
        return Greeting(code=_DAEMONS[answer.status_code], message=f"it answers {answer.status_code}")
    try:
        found = read(answer.content.reveal()) if answer.status_code == HTTPStatus.OK else None
        realms = tuple(sorted(text(row["realm"]) for row in found or ()))
    except (ValueError, TypeError, KeyError):
        realms = ()
    if not realms:
        return Greeting(code="wrong-port", message=f"it answers {answer.status_code}, and not as PVE's API does")
    return Greeting(realms, date_of(answer.date))


class Visitor:
    """Visits addresses as a consumer would that trusts what we trust."""

    def __init__(self, cluster: str, trust: TlsTrust, *, connect: timedelta, read: timedelta) -> None:
        self._cluster = cluster
        self._trust = trust
        self._connect = connect
        self._read = read

    def greet(self, address: str) -> Greeting:
        """Look who answers there. Raises: ``ConfigError`` for what is no address."""
        with closing(self._endpoint(address)) as endpoint:
            return greet(endpoint, self._cluster)

    def show(self, address: str, path: str, headers: Mapping[str, Secret]) -> Response:
        """Do a GET with a consumer's own headers, in UTF-8. Raises: ``UnavailableError``."""
        shown = {name: value.reveal().encode(errors=ANYTHING).decode("latin-1") for name, value in headers.items()}
        return self._visit(
            address, Request(self._call(address, "GET", path), f"{API}{path}", shown), [*headers.values()]
        )

    def log_in(self, address: str, userid: str, password: Secret) -> Response:
        """Log in with a password and forget what comes of it. Raises: ``UnavailableError``."""
        body = urlencode({"username": userid, "password": password.reveal()}, errors=ANYTHING)
        return self._visit(
            address, Request(self._call(address, "POST", LOGIN), f"{API}{LOGIN}", FORM, body), [password]
        )

    def speak_plainly(self, address: str) -> Response | None:
        """Speak plain HTTP, showing nothing; None when nobody answers in kind."""
        endpoint = self._endpoint(address)
        plain = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=self._connect.total_seconds())
        plain.set_debuglevel(0)
        try:
            plain.request("GET", f"{API}/version")
            answer = plain.getresponse()
            return Response(answer.status, answer.reason, answer.headers.get("Location", ""))
        except (*FOREIGN, ssl.SSLError, ValueError):
            return None
        finally:
            plain.close()

    def _visit(self, address: str, request: Request, secrets: list[Secret]) -> Response:
        with closing(self._endpoint(address)) as endpoint:
            answer = endpoint.exchange(request)
        said = sentence(answer.reason, answer.content.reveal())
        for secret in filter(None, (it.reveal() for it in secrets)):
            said = said.replace(secret, "…")
        return Response(answer.status_code, said)

    def _call(self, address: str, method: str, path: str) -> Call:
        return Call(self._cluster, address, method, path, "the consumer")

    def _endpoint(self, address: str) -> Endpoint:
        return Endpoint(address, self._trust, connect=self._connect, read=self._read)
