"""The HTTP server: cheroot, with threads, TLS and limits. Only this module and its lobby know it.

Not taken: ``http.server``, which is not made for networks; waitress, which has no TLS.
"""

from __future__ import annotations

import logging
import ssl
import threading
from pathlib import Path
from socket import socket
from typing import Any
from wsgiref.types import WSGIApplication

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server as WsgiServer

from rotator.errors import ConfigError
from rotator.service.lobby import Connection, Limits, Lobby, listening
from rotator.settings import ListenSettings

WAITING = 64
"""Connections that the machine keeps for us while we let others in."""
GRACE = 1
"""Seconds that answers under way have when the server ends."""
LARGEST_HEADER = 16 * 1024
LARGEST_BODY = 16 * 1024

USUAL = Limits()

log = logging.getLogger(__name__)


class Server:
    """Answers at an address, by threads of its own, from ``start`` until ``close``.

    Raises: ``ConfigError`` when the address cannot be had, or certificate and key do not go together.
    """

    def __init__(self, listen: ListenSettings, application: WSGIApplication, limits: Limits = USUAL) -> None:
        self._scheme = "https" if listen.certificate else "http"
        self._server = Quiet((listen.host, listen.port), application, limits)
        self._server.max_request_header_size = LARGEST_HEADER
        self._server.max_request_body_size = LARGEST_BODY
        if listen.certificate and listen.key:
            self._server.ssl_adapter = _tls(listen.certificate, listen.key)
        try:
            self._server.prepare()
        except OSError as error:
            message = f"cannot listen at {listen.host}:{listen.port}: {error.strerror or error}"
            hint = "say another address, or none: service.listen for the page, service.probes for probes and metrics"
            raise ConfigError(message, hint=hint) from None
        self._thread = threading.Thread(target=self._server.serve, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self._server.bind_addr[:2]
        return f"{self._scheme}://[{host}]:{port}" if ":" in host else f"{self._scheme}://{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.stop()
        self._thread.join(GRACE)


class Quiet(WsgiServer):
    """Lets nobody hold it up, and writes nothing to stderr: what broke a connection is of interest to its other end."""

    ConnectionClass = Connection

    def __init__(self, address: tuple[str, int], application: WSGIApplication, limits: Limits) -> None:
        self._limits = limits
        self._application = application
        super().__init__(
            address,
            application,
            numthreads=limits.threads,
            server_name="rotate",
            timeout=limits.idle,  # type: ignore[arg-type] # a socket takes parts of a second
            shutdown_timeout=GRACE,
            request_queue_size=WAITING,
        )
        self.expiration_interval = limits.tick

    def prepare(self) -> None:
        """Take the address, and make where connections wait."""
        super().prepare()
        self._connections.close()  # type: ignore[has-type] # cheroot's
        self.lobby = self._connections = Lobby(self, self._limits)
        self.wsgi_app = listening(self.lobby, self._application)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - cheroot's
        """Tell who debugs."""
        log.debug("%s", msg)

    @staticmethod
    def bind_socket(socket_: socket, bind_addr: tuple[str, int]) -> socket:
        """Take the address; leave no socket behind when that fails, as cheroot does."""
        try:
            WsgiServer.bind_socket(socket_, bind_addr)  # type: ignore[no-untyped-call] # cheroot's
        except OSError:
            socket_.close()
            raise
        return socket_


class Tls(BuiltinSSLAdapter):
    """TLS with a certificate that may be renewed meanwhile.

    The handshake is left to the thread that answers: cheroot does it in the one that accepts, where a client that says
    nothing would hold up all others.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = _ages(*self._files)
        self._refused: tuple[int, ...] = ()
        super().__init__(str(certificate), str(key))

    def wrap(self, sock: socket) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        """Take a connection."""
        self._renew()
        made = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return made, {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def _renew(self) -> None:
        """Take up another certificate; one that does not go with its key yet is looked at again."""
        if (ages := _ages(*self._files)) == self._seen:
            return
        try:
            context = loaded(*self._files)
        except OSError as error:
            if ages != self._refused:
                log.warning("the certificate that is there now is of no use: %s", error)
            self._refused = ages
            return
        self.context, self._seen = context, ages


def loaded(certificate: Path, key: Path) -> ssl.SSLContext:
    """Load a certificate and its key; nobody is asked at a terminal for the key's password. Raises: ``OSError``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key, password="")
    return context


def _tls(certificate: Path, key: Path) -> Tls:
    try:
        loaded(certificate, key)
        return Tls(certificate, key)
    except OSError as error:  # ssl.SSLError, too
        message = f"{certificate} and {key} cannot be used for TLS: {error.strerror or type(error).__name__}"
        raise ConfigError(message, hint="name a certificate and its own key, both in PEM, without a password") from None


def _ages(*files: Path) -> tuple[int, ...]:
    return tuple(_age(file) for file in files)


def _age(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
