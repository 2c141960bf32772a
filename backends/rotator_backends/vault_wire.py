"""Questions over the wire, by hvac; the only module that knows it, and urllib3 below it.

What they would bring unasked does not happen here: credentials from ``.netrc``, proxies and authorities from the
environment, tokens from ``~/.vault-token``, redirects (which carry the token along), repeats. The adapter, hvac's own
point of extension, judges no status: hvac's exceptions hold bodies, and urllib3's what was read, so that no foreign
exception leaves this module, not even as the context of ours.

Whether a question *was sent* decides between "nothing happened" and "it may have happened". No exception of urllib3
tells (a time-out in the TLS handshake and one after sending are both ``ReadTimeoutError``), so the connections note
when the first byte goes out.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import hvac
import urllib3
import urllib3.connection
from hvac.adapters import Adapter
from hvac.exceptions import VaultError

from rotator.errors import ConfigError
from rotator.model import Secret
from rotator_backends.vault_answers import Answer, Silence, decisive
from rotator_backends.vault_login import Clock
from rotator_backends.vault_operations import Operation
from rotator_backends.vault_settings import BackendSettings

FOREIGN = (VaultError, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""All that hvac and urllib3 raise of their own, and ValueErrors for what cannot be sent."""

_LONGEST = 300
_SHORTEST = 4
"""Characters; what is shorter is found everywhere."""
MOMENT = 1.0
"""Seconds for which a connection that has brought an answer is taken to be open still; urllib3 looks whether it was
closed since. Servers and what stands before them keep one open for at least five, as a rule for minutes."""
_KEPT = 64
"""Connections: as many as threads use at one time, or the others would connect anew each time."""
_LOOK = "is Vault running, is `address` right, and does a firewall let us through?"
_progress = threading.local()


def _files(settings: BackendSettings) -> dict[str, Path]:
    """Return the files of the connection by their settings."""
    named = {"ca": settings.ca, "client_cert": settings.client_cert, "client_key": settings.client_key}
    return {name: path for name, path in named.items() if path is not None}


def _state_of(path: Path) -> tuple[int, ...]:
    """Return what tells a file from one that took its place; () where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_files(settings: BackendSettings) -> None:
    """Look whether the files can be used; OpenSSL would ask the terminal for the password of a key."""
    for name, path in _files(settings).items():
        if "ENCRYPTED" in _content(name, path):
            raise ConfigError(f"{name}: the key in {path} is encrypted", hint="give one without a password")


def _context(settings: BackendSettings) -> ssl.SSLContext:
    """Make what a handshake needs: the system's authorities unless one is named, and what we show."""
    named = "ca"
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        named = "client_cert"
        if settings.client_cert:
            context.load_cert_chain(settings.client_cert, settings.client_key)
    except ssl.SSLError as error:
        reason = error.reason or "it is no PEM file"
    else:
        return context
    path = _files(settings)[named]
    raise ConfigError(f"{named}: {path} cannot be used: {reason}", hint="is it PEM, and does the key belong to it?")


def _content(name: str, path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        reason = error.strerror
    raise ConfigError(f"{name}: {path} cannot be read: {reason}", hint="check the path and who may read it")


@dataclass(frozen=True, slots=True)
class _Sent:
    """What went out with a question; an answer that repeats any of it is not quoted."""

    values: frozenset[str] = field(repr=False)

    def is_in(self, text: str) -> bool:
        return any(value in text for value in self.values)


class _Marking:
    """Notes when the first byte goes out, and is not made to print by a global ``debuglevel``.

    A change goes out on a connection on which an answer came a moment ago, or on a fresh one.
    """

    debuglevel = 0
    sock: Any
    _heard_at = -math.inf
    """When the other side was last known to be there: it took the connection, or gave an answer."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._heard_at = _progress.clock()

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as urllib3 has it
        if _progress.changing and _progress.clock() - self._heard_at > MOMENT:
            self.close()  # type: ignore[attr-defined]
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:  # noqa: ANN401 - as urllib3 has it
        response = super().getresponse()  # type: ignore[misc]
        self._heard_at = _progress.clock()
        if response.status < http.HTTPStatus.OK:  # the answer is still to come, and would be that of the next question
            self.close()  # type: ignore[attr-defined]
        return response

    def send(self, data: Any) -> None:  # noqa: ANN401 - as http.client has it
        if self.sock is None:
            self.connect()
        _progress.sent = True
        super().send(data)  # type: ignore[misc]


class _PlainConnection(_Marking, urllib3.connection.HTTPConnection):
    pass


class _SecureConnection(_Marking, urllib3.connection.HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Session:
    """What hvac takes for a session of requests, on urllib3 alone; hvac looks at ``verify``, ``proxies`` and ``cert``.

    requests would trust its own list of authorities where none is named, and not the system's; and a call through it
    takes twice the CPU.
    """

    verify, proxies = True, None

    def __init__(self, settings: BackendSettings) -> None:
        _check_files(settings)
        self.cert = str(settings.client_cert) if settings.client_cert else None
        timeout = urllib3.Timeout(connect=settings.timeout, read=settings.timeout)
        self._pools = urllib3.PoolManager(ssl_context=_context(settings), retries=False, timeout=timeout, maxsize=_KEPT)
        self._pools.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def request(self, method: str, url: str, **sent: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401 - as urllib3 has it
        """Ask once, and read the whole answer, whatever its status."""
        return self._pools.request(method.upper(), url, redirect=False, **sent)

    def close(self) -> None:
        """Let go of the connections: urllib3 closes them when nobody is asking on them. Repeat: nothing happens."""
        self._pools.clear()


class _JudgingNothing(Adapter):  # type: ignore[misc] # hvac has no types
    """Returns an ``Answer`` whatever the status."""

    def get_login_token(self, response: Answer) -> str:
        return str(response.part("auth").get("client_token", ""))

    def request(self, method: str, url: str, headers: Any = None, **kwargs: Any) -> Answer:  # noqa: ANN401 - as hvac has it
        own = {"X-Vault-Request": "true", "X-Vault-Token": self.token, "X-Vault-Namespace": self.namespace}
        sent = _Sent(frozenset(_texts([self.token, kwargs.get("json")])))
        params = f"?{urlencode(kwargs['params'])}" if kwargs.get("params") else ""
        response = self.session.request(
            method,
            self.urljoin(self.base_uri, url) + params,
            headers={**(headers or {}), **{name: value for name, value in own.items() if value}},
            json=kwargs.get("json"),
        )
        return _answer(response, sent)


class Wire:
    """Asks one Vault. Several threads may use it.

    A change goes out once, and never on a connection that was idle for long: the server may close a kept one at any
    time, and a write that meets a closed connection would look like an unknown outcome.
    """

    def __init__(self, settings: BackendSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: _Session | None = None
        self._state: tuple[object, ...] = ()
        _quiet()

    def ask(
        self, operation: Operation, *, token: Secret | None, namespace: str | None = None, changing: bool = False
    ) -> Answer | Silence:
        """Ask, and return what came, or why nothing did.

        Raises: ``ConfigError`` when a file of the connection cannot be used.
        """
        client = hvac.Client(
            url=self._settings.address,
            token=token.reveal() if token else "",
            namespace=self._settings.namespace if namespace is None else namespace,
            session=self._session(),
            adapter=_JudgingNothing,
        )
        _progress.sent, _progress.changing, _progress.clock = False, changing, self._clock
        try:
            answer: Answer = operation(client)
        except (*FOREIGN, ValueError) as error:
            return self.silence(error, sent=_progress.sent)
        return answer

    def close(self) -> None:
        """Let go of the connections. Repeat: nothing happens."""
        with self._lock:
            if self._opened:
                self._opened.close()
            self._opened = None

    def _session(self) -> _Session:
        """Return the session; a new one when a file of it is another than before, as a certificate that was renewed."""
        state = tuple(map(_state_of, _files(self._settings).values()))
        with self._lock:
            if self._opened and state != self._state:
                self._opened.close()
                self._opened = None
            if self._opened is None:
                self._opened, self._state = _Session(self._settings), state
            return self._opened

    def silence(self, error: BaseException, *, sent: bool) -> Silence:
        """Name the reason why no whole answer came; of the error only its kind is told."""
        why, hint = self._why(list(_roots(error)), sent=sent)
        return Silence(why, hint, sent)

    def _why(self, errors: list[BaseException], *, sent: bool) -> tuple[str, str]:
        def met(*kinds: type[BaseException]) -> bool:
            return any(isinstance(error, kinds) for error in errors)

        untrusted = [error for error in errors if isinstance(error, ssl.SSLCertVerificationError)]
        if untrusted:
            why = getattr(untrusted[0], "verify_message", "") or "it does not verify"
            return f"its certificate is not trusted: {why}", "set `ca` to the PEM file of the authority that issued it"
        if met(socket.gaierror, urllib3.exceptions.NameResolutionError):
            return "the name does not resolve", "correct `address`, or look at DNS"
        if met(ConnectionRefusedError):
            return "connection refused", _LOOK
        if met(TimeoutError, urllib3.exceptions.TimeoutError):
            return f"no answer within {self._settings.timeout:g} s", _LOOK
        if met(ssl.SSLError, urllib3.exceptions.SSLError) and not sent:
            return "the TLS handshake failed", "does it speak TLS there? does it want a client certificate?"
        told = next((it for it in errors if not isinstance(it, urllib3.exceptions.ProtocolError)), errors[0])
        kind = type(told).__name__
        return f"the connection broke ({kind})" if sent else f"cannot connect ({kind})", _LOOK


def _answer(response: urllib3.BaseHTTPResponse, sent: _Sent) -> Answer:
    try:
        body = json.loads(response.data)
    except (ValueError, RecursionError):
        body = None
    body = body if isinstance(body, dict) else {}
    return Answer(
        status=response.status,
        body=body,
        said=_said(body, sent),
        retry_after=response.headers.get("Retry-After", ""),
        location=response.headers.get("Location", ""),
    )


def _said(body: Mapping[str, Any], sent: _Sent) -> str:
    errors = body.get("errors")
    text = " ".join(", ".join(str(error) for error in errors).split()) if isinstance(errors, list) else ""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return decisive(text) if sent.is_in(text) else text[:_LONGEST]


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in what is sent; paths, roles and user names too, which only costs a quotation."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, str) and len(value) >= _SHORTEST:
        yield value


def _roots(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """Yield an error and those that it wraps in one way or another."""
    yield error
    wrapped = [getattr(error, "reason", None), error.__cause__, error.__context__, *error.args]
    for other in wrapped if depth else ():
        if isinstance(other, BaseException):
            yield from _roots(other, depth - 1)


def _is_harmless(record: logging.LogRecord) -> bool:
    """Say whether urllib3 logs no part of an answer: of headers that make no sense it logs all that follows them."""
    return not str(record.msg).startswith("Failed to parse headers")


def _quiet() -> None:
    """Shut up the one message that could carry a secret; a filter outlives whatever is configured later."""
    logging.getLogger("urllib3.connection").addFilter(_is_harmless)
